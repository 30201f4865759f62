/** The URL and what it means: a time range, values of dimensions, words. Every view is a link, so this is the only state
 * that pages share. Pure, and tested. */

import { DIMENSIONS, type Dimension } from './dimensions';

export type Range = { last: string } | { from: string; to: string };

export interface Filters {
  range: Range;
  values: Partial<Record<Dimension, string[]>>;
  words: string;
  /** Reposts are left out. */
  originals: boolean;
}

export const DEFAULT_RANGE: Range = { last: '24h' };

/** Ranges offered, in the order offered. */
export const PRESETS: readonly { last: string; label: string }[] = [
  { last: '15m', label: 'Last 15 minutes' },
  { last: '1h', label: 'Last hour' },
  { last: '6h', label: 'Last 6 hours' },
  { last: '24h', label: 'Last 24 hours' },
  { last: '7d', label: 'Last 7 days' },
  { last: '14d', label: 'Last 14 days' },
  { last: '30d', label: 'Last 30 days' },
  { last: '90d', label: 'Last 90 days' },
  { last: '365d', label: 'Last year' },
];

const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Length of `15m`, `24h`, `7d` in milliseconds; none when it is not of that form. */
export function lengthMs(last: string): number | undefined {
  const match = /^(\d{1,5})([mhd])$/.exec(last);
  const unit = match?.[2] && UNIT_MS[match[2]];
  const length = unit ? Number(match[1]) * unit : 0;
  return length > 0 ? length : undefined;
}

function readRange(params: URLSearchParams): Range {
  const from = params.get('from');
  const to = params.get('to');
  if (from && to && Date.parse(from) < Date.parse(to)) return { from, to };
  const last = params.get('range');
  return last && lengthMs(last) ? { last } : DEFAULT_RANGE;
}

/** Reads the search part of an address. What it does not know it leaves alone. */
export function read(search: string): Filters {
  const params = new URLSearchParams(search);
  const values: Filters['values'] = {};
  for (const dimension of DIMENSIONS) {
    const found = [...new Set(params.getAll(dimension).filter((value) => value !== ''))];
    if (found.length > 0) values[dimension] = found;
  }
  return {
    range: readRange(params),
    values,
    words: params.get('q') ?? '',
    originals: params.get('reposts') === 'no',
  };
}

/** The search part of an address for these filters and a page's own parameters. */
export function write(filters: Filters, own: Record<string, string | undefined> = {}): string {
  const params = new URLSearchParams();
  if ('last' in filters.range) {
    if (filters.range.last !== '24h') params.set('range', filters.range.last);
  } else {
    params.set('from', filters.range.from);
    params.set('to', filters.range.to);
  }
  addValues(params, filters);
  for (const [key, value] of Object.entries(own)) if (value) params.set(key, value);
  const text = params.toString();
  return text ? `?${text}` : '';
}

function addValues(params: URLSearchParams, filters: Filters): void {
  for (const dimension of DIMENSIONS) {
    for (const value of filters.values[dimension] ?? []) params.append(dimension, value);
  }
  if (filters.words.trim()) params.set('q', filters.words.trim());
  if (filters.originals) params.set('reposts', 'no');
}

/** From and to as times. */
export function bounds(range: Range, now: number): { from: number; to: number } {
  if ('from' in range) return { from: Date.parse(range.from), to: Date.parse(range.to) };
  const length = lengthMs(range.last) ?? UNIT_MS.d!;
  // Whole steps, so that two panels (and two people) ask the same question.
  const step = length <= UNIT_MS.h! * 6 ? 10_000 : 60_000;
  const to = Math.ceil(now / step) * step;
  return { from: to - length, to };
}

/** The parameters for the API. */
export function toApi(filters: Filters, now: number, timeZone: string): URLSearchParams {
  const { from, to } = bounds(filters.range, now);
  const params = new URLSearchParams({
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    tz: timeZone,
  });
  addValues(params, filters);
  return params;
}

/** Adds the value to the filter, or takes it out. */
export function toggle(filters: Filters, dimension: Dimension, value: string): Filters {
  const before = filters.values[dimension] ?? [];
  const after = before.includes(value) ? before.filter((one) => one !== value) : [...before, value];
  return withValues(filters, dimension, after);
}

export function withValues(filters: Filters, dimension: Dimension, values: string[]): Filters {
  const next = { ...filters.values };
  if (values.length > 0) next[dimension] = values;
  else delete next[dimension];
  return { ...filters, values: next };
}

export function has(filters: Filters, dimension: Dimension, value: string): boolean {
  return filters.values[dimension]?.includes(value) ?? false;
}

/** Something besides the time range is chosen. */
export function isNarrowed(filters: Filters): boolean {
  return Object.keys(filters.values).length > 0 || filters.words.trim() !== '' || filters.originals;
}

/** Only the time range is left. */
export function widened(filters: Filters): Filters {
  return { range: filters.range, values: {}, words: '', originals: false };
}
