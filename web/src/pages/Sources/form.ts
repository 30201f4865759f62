/** Between the settings of a source or a channel and the fields of its form. */
import type { SourceKind } from '../../api/queries';

type Fields = Pick<SourceKind, 'name' | 'fields'>;
type Settings = { settings: Record<string, unknown> };

export type Values = Record<string, string | number | boolean | null | undefined>;

const lines = (text: unknown) =>
  String(text ?? '')
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** What the fields show: lists one item a line, secrets never. */
export function shown(kind: Fields | undefined, source: Settings | undefined): Values {
  const values: Values = {};
  for (const field of kind?.fields ?? []) {
    const value = source?.settings[field.key] ?? field.default;
    if (field.kind === 'secret') values[field.key] = '';
    else if (field.kind === 'list') values[field.key] = Array.isArray(value) ? value.join('\n') : '';
    else if (field.kind === 'switch') values[field.key] = value === true;
    else values[field.key] = (value ?? '') as string | number;
  }
  return values;
}

/** What is sent. Settings that are as they are by default are left out, and secrets that were not typed. */
export function orderOf(kind: Fields, values: Values, enabled: boolean) {
  const settings: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  for (const field of kind.fields) {
    const value = values[field.key];
    if (field.kind === 'secret') {
      if (value) secrets[field.key] = String(value);
      continue;
    }
    const typed =
      field.kind === 'list' ? lines(value) : field.kind === 'number' && value !== '' ? Number(value) : value;
    const isEmpty = typed === '' || typed === null || typed === undefined;
    if (!isEmpty && JSON.stringify(typed) !== JSON.stringify(field.default ?? null)) settings[field.key] = typed;
  }
  return { kind: kind.name, enabled, settings, secrets };
}

/** A name that no source has, from the first address or the kind. */
export function suggestedName(kind: string, values: Values, taken: string[]): string {
  const [address] = lines(values.urls ?? values.url);
  const host = address && URL.canParse(address) ? new URL(address).hostname.replace(/^www\./, '') : '';
  const base = host || kind;
  let name = base;
  for (let nth = 2; taken.includes(name); nth += 1) name = `${base}-${nth}`;
  return name;
}

/** The addresses of the feeds in an OPML file. */
export function addressesOf(opml: string): string[] {
  const outlines = new DOMParser().parseFromString(opml, 'text/xml').querySelectorAll('outline[xmlUrl]');
  return [...outlines].map((outline) => outline.getAttribute('xmlUrl') ?? '').filter((address) => address !== '');
}
