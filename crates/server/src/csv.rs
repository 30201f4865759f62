//! CSV that opens in spreadsheets as what it is: text. Every cell that is not a plain number is quoted, so a program that
//! separates by semicolons or tabs makes no cells of its own from it; a text that could be taken for a formula gets an
//! apostrophe before it (OWASP, "CSV injection").

/// What a program for tables may begin a formula with; the full-width forms are read as the others.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Writes lines of cells.
pub(crate) struct CsvWriter(csv::Writer<Vec<u8>>);

impl CsvWriter {
    /// `byte_order_mark`: Excel reads UTF-8 right only behind one.
    pub(crate) fn new(byte_order_mark: bool) -> Self {
        let start = if byte_order_mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        let format = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::NonNumeric)
            .terminator(csv::Terminator::CRLF)
            .from_writer(start);
        Self(format)
    }

    /// One line.
    pub(crate) fn line(&mut self, cells: impl Iterator<Item = String>) -> csv::Result<()> {
        self.0.write_record(cells)
    }

    /// What was written since the last call.
    pub(crate) fn take(&mut self) -> std::io::Result<Vec<u8>> {
        self.0.flush()?;
        let written = std::mem::replace(self, Self::new(false)).0.into_inner();
        written.map_err(|error| error.into_error())
    }
}

/// A text that no spreadsheet runs.
pub(crate) fn harmless(text: &str) -> String {
    let first = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
    let runs = first.starts_with(FORMULA) || text.starts_with(['\t', '\r', '\n']);
    if runs { format!("'{text}") } else { text.to_owned() }
}

/// Marks that take no room: programs skip them before they look for a sign.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_never_becomes_a_formula() {
        for text in ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "＝1", "＋1", "－1", "＠x", " =1", "\n=1", "\t=1"]
        {
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
        for text in ["\u{200b}=1", "\u{feff}@x", "\u{a0}=1", "\tx", "\rx", "\nx"] {
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
        for text in ["late again", "a;=1+2", "1 = 1", " late", ""] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn texts_are_quoted_and_numbers_are_not() {
        let mut csv = CsvWriter::new(true);
        let texts = ["a;=1+2", "-1.5", "say \"hi\"\nthere", "", "a|=b", "'=b"];
        csv.line(texts.into_iter().map(str::to_owned)).unwrap();
        let text = String::from_utf8(csv.take().unwrap()).unwrap();
        assert_eq!(text, "\u{feff}\"a;=1+2\",-1.5,\"say \"\"hi\"\"\nthere\",\"\",\"a|=b\",\"'=b\"\r\n");
        csv.line(["x".to_owned()].into_iter()).unwrap();
        assert_eq!(csv.take().unwrap(), b"\"x\"\r\n", "the mark stands at the beginning only");
    }
}
