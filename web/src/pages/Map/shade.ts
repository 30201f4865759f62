/** How the map shows mood and volume. Pure, and tested. */

type Counted = { positive: number; negative: number; neutral: number; mixed: number };
type Tones = { negative: string; neutral: string; positive: string };

/** From -1 (all negative) to 1 (all positive). */
export function balance(counted: Counted): number {
  const known = counted.positive + counted.negative + counted.neutral + counted.mixed;
  return known === 0 ? 0 : (counted.positive - counted.negative) / known;
}

/** A colour between the two moods by way of grey. */
export function mood(counted: Counted, tones: Tones): string {
  const at = Math.max(-1, Math.min(1, balance(counted) * 1.6));
  return mix(tones.neutral, at < 0 ? tones.negative : tones.positive, Math.abs(at));
}

function mix(from: string, to: string, share: number): string {
  const channel = (colour: string, at: number) => parseInt(colour.slice(1 + at * 2, 3 + at * 2), 16);
  const mixed = [0, 1, 2].map((at) => Math.round(channel(from, at) + (channel(to, at) - channel(from, at)) * share));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Size of a place's circle in pixels: its area grows with the mentions. */
export function radius(mentions: number, largest: number): number {
  return 5 + 27 * Math.sqrt(mentions / largest);
}

/** How strongly a country is coloured, 0 to 1, so that small ones are still seen beside one giant. */
export function share(mentions: number, largest: number): number {
  return Math.log1p(mentions) / Math.log1p(largest);
}
