/** A text cut where things are named in it. Offsets count Unicode scalar values, JavaScript counts UTF-16 units. Pure,
 * and tested. */

export interface Named {
  kind: string;
  begin: number;
  end: number;
}

export interface Piece {
  text: string;
  kind?: string;
  /** A person, organisation, place, ...: not just a link or a mention. */
  strong?: boolean;
}

const QUIET = new Set(['mention', 'link', 'hashtag', 'cashtag', 'emoji']);

/** Overlaps go to whatever begins first; impossible offsets are ignored. */
export function pieces(text: string, entities: readonly Named[]): Piece[] {
  const letters = Array.from(text);
  const sorted = [...entities].sort((a, b) => a.begin - b.begin || b.end - a.end);
  const found: Piece[] = [];
  let at = 0;
  for (const { kind, begin, end } of sorted) {
    if (begin < at || end <= begin || end > letters.length) continue;
    if (begin > at) found.push({ text: letters.slice(at, begin).join('') });
    found.push({ text: letters.slice(begin, end).join(''), kind, strong: !QUIET.has(kind) });
    at = end;
  }
  if (at < letters.length) found.push({ text: letters.slice(at).join('') });
  return found;
}
