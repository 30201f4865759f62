/** Numbers as people read them. Pure, and tested. */

const UNITS: readonly [number, string][] = [
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** `847`, `12.4k`, `3.1M`: at most three digits. */
export function compact(value: number): string {
  const size = Math.abs(value);
  for (const [unit, name] of UNITS) {
    // 999.6 thousand would be written as 1000k.
    if (size >= unit * 0.9995) {
      const scaled = value / unit;
      return `${trim(scaled, Math.abs(scaled) < 99.95 ? 1 : 0)}${name}`;
    }
  }
  return trim(value, Number.isInteger(value) || size >= 100 ? 0 : 1);
}

function trim(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return text.endsWith('.0') ? text.slice(0, -2) : text;
}

/** `12,431`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A share from 0 to 1 as `43%`; small ones keep a digit. */
export function percent(share: number): string {
  const value = share * 100;
  const digits = value !== 0 && Math.abs(value) < 9.95 ? 1 : 0;
  return `${trim(value, digits)}%`;
}

export interface Change {
  text: string;
  /** -1 down, 0 same, 1 up. */
  direction: -1 | 0 | 1;
}

/** How much larger than before: `+18%`, `×3.2` when it more than doubled, `new` when there was nothing. */
export function change(now: number, before: number): Change | undefined {
  if (before === 0) return now === 0 ? undefined : { text: 'new', direction: 1 };
  const ratio = now / before;
  if (ratio >= 2.95) return { text: `×${trim(ratio, ratio < 9.95 ? 1 : 0)}`, direction: 1 };
  const share = Math.round((ratio - 1) * 1000) / 10;
  if (Math.abs(share) < 0.5) return { text: 'no change', direction: 0 };
  const digits = Math.abs(share) < 9.95 ? 1 : 0;
  return { text: `${share > 0 ? '+' : '−'}${trim(Math.abs(share), digits)}%`, direction: share > 0 ? 1 : -1 };
}

/** The change of a share, in points: `+4.2 points`. */
export function changeOfShare(now: number | null | undefined, before: number | null | undefined): Change | undefined {
  if (now == null || before == null) return undefined;
  const points = Math.round((now - before) * 1000) / 10;
  if (points === 0) return { text: 'no change', direction: 0 };
  const sign = points > 0 ? '+' : '−';
  return { text: `${sign}${trim(Math.abs(points), 1)} points`, direction: points > 0 ? 1 : -1 };
}

/** `1.2 GB`. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let size = value;
  while (size >= 999.5 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return `${trim(size, at > 0 && size < 99.95 ? 1 : 0)}\u202f${units[at]}`;
}

/** `340 ms`, `2.1 s`, `4 min`, `3 h`, `2 d`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)}\u202fms`;
  if (ms < 59_950) return `${trim(ms / 1000, ms < 9950 ? 1 : 0)}\u202fs`;
  if (ms < 59.5 * 60_000) return `${Math.round(ms / 60_000)}\u202fmin`;
  if (ms < 47.5 * 3_600_000) return `${Math.round(ms / 3_600_000)}\u202fh`;
  return `${Math.round(ms / 86_400_000)}\u202fd`;
}
