//! Files that are no text we read: told by their first bytes, with what to do about it.

/// Kinds of files, by how they begin.
const KINDS: [(&[u8], &str); 9] = [
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed with zstd: unpack it first, as in zstd -dc FILE | overheard import - --input jsonl",
    ),
    (b"BZh", "is compressed with bzip2: unpack it first, as in bzip2 -dc FILE | overheard import - --input jsonl"),
    (b"\xfd7zXZ", "is compressed with xz: unpack it first, as in xz -dc FILE | overheard import - --input jsonl"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it first"),
    (b"PAR1", "is a Parquet file: write it as JSON lines or CSV first"),
    (b"SQLite format 3", "is an SQLite database: export its table as CSV first"),
    (b"%PDF", "is a PDF: it can't be read"),
    (b"\xff\xfe", "is written in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "is written in UTF-16: save it as UTF-8"),
];

/// What to do about a file that begins so; `None` for text.
pub(super) fn advice(start: &[u8], name: &str) -> Option<String> {
    if let Some((_, words)) = KINDS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(format!("{name} {words}"));
    }
    if start.starts_with(b"PK\x03\x04") {
        let office = [".xlsx", ".ods", ".docx"].iter().any(|end| name.to_lowercase().ends_with(end));
        let words =
            if office { "is a spreadsheet: save it as CSV (UTF-8)" } else { "is a zip archive: unpack it first" };
        return Some(format!("{name} {words}"));
    }
    if start.trim_ascii_start().starts_with(b"<") {
        return Some(format!("{name} is XML or HTML: write it as JSON lines or CSV first"));
    }
    let head = &start[..start.len().min(256)];
    (head.iter().filter(|byte| **byte == 0).count() > head.len() / 8)
        .then(|| format!("{name} holds NUL bytes: it is written in UTF-16, or is no text; save it as UTF-8"))
}
