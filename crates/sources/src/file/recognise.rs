//! What a file is, by its content: told before work starts.

use super::json::{self, ARCHIVE_OF_X};
use super::{Format, tables};
use crate::formats;

/// Names of files whose records stand one a line.
const LINES: [&str; 2] = [".jsonl", ".ndjson"];

/// What a text was recognised as.
pub(super) struct Recognised {
    pub(super) format: Format,
    /// In words.
    pub(super) words: String,
}

/// Recognises a text by its start. A name decides where the start leaves it open; `wanted` decides against both.
pub(super) fn recognise(wanted: Option<Format>, name: &str, start: &[u8]) -> Recognised {
    let format = wanted.unwrap_or_else(|| by_content(name, start));
    let words = match format {
        Format::Csv => {
            let (delimiter, skipped) = tables::delimiter(start);
            let header = start[skipped..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            let columns = header.iter().filter(|byte| **byte == delimiter).count() + 1;
            let delimiter = if delimiter == b'\t' { "tab".into() } else { format!("{:?}", char::from(delimiter)) };
            format!("CSV, {columns} columns, separator {delimiter}")
        }
        Format::Json | Format::JsonLines => {
            let kind = if format == Format::JsonLines { "JSON lines" } else { "JSON" };
            let first = json::first(start).filter(|first| first.starts_with(b"{"));
            let what = first.map_or("records", |first| formats::describe(&first));
            let archive = if start.starts_with(ARCHIVE_OF_X) { ", of an archive of X" } else { "" };
            format!("{kind}{archive}: {what}")
        }
    };
    Recognised { format, words }
}

fn by_content(name: &str, start: &[u8]) -> Format {
    let text = start.trim_ascii_start();
    if text.starts_with(ARCHIVE_OF_X) || is_list(text) {
        return Format::Json;
    }
    if !text.starts_with(b"{") {
        return Format::Csv;
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let name = name.to_lowercase();
    let by_name = LINES.iter().any(|end| name.contains(end));
    if by_name || line.ends_with(b"}") && text.len() > line.len() { Format::JsonLines } else { Format::Json }
}

/// A list of objects; a header of a table can begin with a bracket as well.
fn is_list(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| matches!(inner.first(), None | Some(b'{' | b']' | b'[')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells_the_format() {
        let table = [
            ("a.txt", "{\"text\":1}\n{\"text\":2}\n", Format::JsonLines),
            ("a.jsonl", "{'text': 1", Format::JsonLines),
            ("a.csv", "[{\"text\":1}]", Format::Json),
            ("a.txt", "{\n  \"text\": 1\n}", Format::Json),
            ("tweets.js", "window.YTD.tweets.part0 = [ {", Format::Json),
            ("a.json", "id,text\n1,a", Format::Csv),
            ("a", "[id],[text]\n", Format::Csv),
            ("a.csv", "", Format::Csv),
        ];
        for (name, start, wanted) in table {
            assert_eq!(recognise(None, name, start.as_bytes()).format, wanted, "{name} {start}");
        }
    }

    #[test]
    fn the_delimiter_of_a_spreadsheet_is_believed() {
        let table: [(&[u8], (u8, usize)); 4] = [
            (b"sep=;\r\nid;text\r\n", (b';', 7)),
            (b"SEP=\t\nid\ttext\n", (b'\t', 6)),
            (b"id|text\n", (b'|', 0)),
            (b"sep=;", (b';', 5)),
        ];
        for (start, wanted) in table {
            assert_eq!(tables::delimiter(start), wanted, "{}", String::from_utf8_lossy(start));
        }
        assert_eq!(recognise(None, "a", b"sep=;\nid;text\n").words, "CSV, 2 columns, separator ';'");
    }
}
