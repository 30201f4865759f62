//! Files that can't be read: known by their first bytes, with what to do about each.

/// Kinds of files, by how they begin.
const KINDS: [(&[u8], &str); 6] = [
    (b"\xfd7zXZ", "is compressed with xz: unpack it first, as in xz -dc FILE | overheard import -"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it first"),
    (b"\xd0\xcf\x11\xe0", "is a workbook of Excel before 2007: save it as .xlsx or as CSV (UTF-8)"),
    (b"SQLite format 3", "is an SQLite database: export its table as CSV first"),
    (b"%PDF", "is a PDF: it can't be read"),
    (b"Obj\x01", "is an Avro file: write it as JSON lines or Parquet first"),
];

/// What to do about a file that begins so; `None`: it may be text.
pub(super) fn advice(start: &[u8], name: &str) -> Option<String> {
    let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, words)| *words);
    let is_markup = start.trim_ascii_start().starts_with(b"<");
    let words = known.or_else(|| is_markup.then_some("is XML or HTML: write it as JSON lines or CSV first"))?;
    Some(format!("{name} {words}"))
}
