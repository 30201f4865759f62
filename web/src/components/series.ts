/** Small parts of the series chart that need no component. */

/** Zeros become gaps, so that no hairline is drawn for them. */
export function chartData(mentions: readonly number[]): (number | null)[] {
  return mentions.map((count) => (count === 0 ? null : count));
}

interface Row {
  name: string;
  count: string;
  colour: string;
}

/** What hovers over a chart. Built from nodes: no text of a post or value ever becomes markup. */
export function tooltip(title: string, total: string, rows: readonly Row[]): HTMLElement {
  const box = document.createElement('div');
  box.className = 'tip';
  add(box, 'tip-title', title);
  add(box, 'tip-total', total);
  for (const row of rows) {
    const line = document.createElement('div');
    line.className = 'tip-row';
    const dot = document.createElement('span');
    dot.className = 'tip-dot';
    dot.style.background = row.colour;
    line.append(dot);
    add(line, 'tip-name', row.name);
    add(line, 'tip-count', row.count);
    box.append(line);
  }
  return box;
}

function add(parent: HTMLElement, className: string, text: string): void {
  const element = document.createElement('span');
  element.className = className;
  element.textContent = text;
  parent.append(element);
}

/** Stretches put together where they touch, in order. */
export function spans(stretches: [number, number][]): [number, number][] {
  const joined: [number, number][] = [];
  for (const [from, to] of stretches.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}
