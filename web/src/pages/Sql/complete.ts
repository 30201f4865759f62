/** What could be meant at the cursor of a statement. Pure, and tested. */

export interface Table {
  name: string;
  columns: { name: string }[];
}

const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT AND OR NOT IN IS NULL AS DISTINCT COUNT SUM AVG MIN MAX CASE WHEN THEN ELSE END LIKE ILIKE BETWEEN INTERVAL DATE JOIN ON LEFT WITH DESC ASC FILTER OVER PARTITION UNION ALL array_has unnest date_bin date_trunc date_part now lower coalesce approx_distinct'.split(
    ' ',
  );
const OFFERED_MAX = 8;

/** The word that ends at the cursor, and where it begins. */
export function wordAt(text: string, cursor: number): { word: string; begin: number } {
  const match = /[A-Za-z_][A-Za-z0-9_]*$/.exec(text.slice(0, cursor));
  return { word: match?.[0] ?? '', begin: cursor - (match?.[0].length ?? 0) };
}

/** Names that begin with the word: columns of the tables named in the statement first. */
export function completions(text: string, cursor: number, tables: readonly Table[]): string[] {
  const { word } = wordAt(text, cursor);
  if (word.length < 1 || inQuotes(text, cursor)) return [];
  const used = tables.filter((table) => new RegExp(`\\b${table.name}\\b`, 'i').test(text));
  const columns = (used.length > 0 ? used : tables).flatMap((table) => table.columns.map((column) => column.name));
  const names = [...new Set([...columns, ...tables.map((table) => table.name), ...WORDS])];
  const wanted = word.toLowerCase();
  return names
    .filter((name) => name.toLowerCase().startsWith(wanted) && name.toLowerCase() !== wanted)
    .slice(0, OFFERED_MAX);
}

function inQuotes(text: string, cursor: number): boolean {
  return (text.slice(0, cursor).split("'").length - 1) % 2 === 1;
}
