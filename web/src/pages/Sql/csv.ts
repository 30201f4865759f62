/**
 * Rows as CSV (RFC 4180) that opens in spreadsheets as what it is: every text is quoted, so that a program which separates
 * by semicolons makes no cells of its own from it, and what could be taken for a formula gets an apostrophe (OWASP, "CSV
 * injection"). The same rules as `crates/server/src/csv.rs`. Pure, and tested.
 */

/** A sign that begins a formula, the full-width forms included, behind anything that programs skip. */
const FORMULA = /^[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]|^[\t\r\n]/u;

/** Excel reads UTF-8 right only behind this mark. */
const BYTE_ORDER_MARK = '\uFEFF';

function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

export function toCsv(columns: readonly string[], rows: readonly unknown[][]): string {
  const lines = [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`);
  return BYTE_ORDER_MARK + lines.join('');
}
