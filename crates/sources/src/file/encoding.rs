//! The text of a file as UTF-8, whatever encoding it was written in: UTF-8 with or without a byte-order mark, UTF-16 with
//! or without one, or Latin-1 (as Windows-1252, which has the same letters). Relies on `encoding_rs`.

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::cell::Cell;
use std::io::{BufRead, Read, Result};
use std::rc::Rc;

/// UTF-16, for people.
pub(super) const UTF_16: &str = "UTF-16";
/// How many bytes tell whether a text without a mark is UTF-16.
const SAMPLE_BYTES: usize = 256;

/// The encoding that was found, for the report. It can be found late: at the first letter beyond ASCII.
pub(super) type Found = Rc<Cell<Option<&'static str>>>;

/// Reads text as UTF-8. Bytes of UTF-8 pass through uncopied.
pub(super) struct Decoding<R> {
    inner: R,
    decoder: Option<Decoder>,
    /// Nothing but ASCII was seen so far.
    undecided: bool,
    /// Bytes at the front of the buffer of `inner` that are known to be ASCII.
    plain: usize,
    decoded: String,
    taken: usize,
    ended: bool,
    found: Found,
}

impl<R: BufRead> Decoding<R> {
    /// Takes in the byte-order mark, if there is one. `None`: the bytes are no text.
    pub(super) fn new(mut inner: R, found: Found) -> Result<Option<Self>> {
        let (encoding, mark) = match inner.fill_buf()? {
            [0xef, 0xbb, 0xbf, ..] => (None, 3),
            [0xff, 0xfe, ..] => (Some(UTF_16LE), 2),
            [0xfe, 0xff, ..] => (Some(UTF_16BE), 2),
            start => match utf_16_without_mark(&start[..start.len().min(SAMPLE_BYTES)]) {
                Sample::Text(encoding) => (encoding, 0),
                Sample::Binary => return Ok(None),
            },
        };
        inner.consume(mark);
        if encoding.is_some() {
            found.set(Some(UTF_16));
        }
        let decoder = encoding.map(|encoding| encoding.new_decoder_without_bom_handling());
        let undecided = decoder.is_none() && mark == 0;
        Ok(Some(Self { inner, decoder, undecided, plain: 0, decoded: String::new(), taken: 0, ended: false, found }))
    }

    /// Looks for the first letter beyond ASCII, which tells UTF-8 from Latin-1.
    fn decide(&mut self) -> Result<()> {
        let chunk = self.inner.fill_buf()?;
        if !self.undecided || self.plain > 0 {
            return Ok(());
        }
        if chunk.is_ascii() {
            self.plain = chunk.len();
            return Ok(());
        }
        self.undecided = false;
        if is_latin_1(chunk) {
            self.decoder = Some(WINDOWS_1252.new_decoder_without_bom_handling());
            self.found.set(Some("Latin-1 (Windows-1252)"));
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        while self.taken == self.decoded.len() && !self.ended {
            self.decoded.clear();
            self.taken = 0;
            let chunk = self.inner.fill_buf()?;
            self.ended = chunk.is_empty();
            let room = decoder.max_utf8_buffer_length(chunk.len()).unwrap_or(chunk.len() * 3 + 16);
            self.decoded.reserve(room);
            let (_, read, _) = decoder.decode_to_string(chunk, &mut self.decoded, self.ended);
            self.inner.consume(read);
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for Decoding<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.decoder.is_none() {
            self.decide()?;
        }
        if self.decoder.is_none() {
            return self.inner.fill_buf();
        }
        self.decode()?;
        Ok(&self.decoded.as_bytes()[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        if self.decoder.is_some() {
            self.taken += bytes;
        } else {
            self.plain = self.plain.saturating_sub(bytes);
            self.inner.consume(bytes);
        }
    }
}

impl<R: BufRead> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

enum Sample {
    Text(Option<&'static encoding_rs::Encoding>),
    Binary,
}

/// UTF-16 of mostly Latin letters has a NUL in every second place.
fn utf_16_without_mark(start: &[u8]) -> Sample {
    let nul_at = |odd: usize| start.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nul_at(0), nul_at(1));
    let many = start.len() / 8;
    match (even > many, odd > many) {
        _ if even + odd == 0 => Sample::Text(None),
        (true, false) => Sample::Text(Some(UTF_16BE)),
        (false, true) => Sample::Text(Some(UTF_16LE)),
        (true, true) => Sample::Binary,
        (false, false) => Sample::Text(None),
    }
}

/// Whether bytes that are no UTF-8 look like a text in Latin-1: no letter is written as UTF-8, and each odd byte is a
/// letter beside a letter, or a mark. A single broken byte in a text of UTF-8 is no reason to read all of it otherwise.
fn is_latin_1(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut odd = 0;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_ascii() {
            return false;
        }
        at += chunk.valid().len();
        let is_last = at + chunk.invalid().len() == bytes.len();
        if is_last && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none()) {
            // The buffer ends within a letter.
            return odd > 0;
        }
        for place in at..at + chunk.invalid().len() {
            let beside = [place.checked_sub(1), Some(place + 1)].into_iter().flatten();
            let in_word = beside.filter_map(|beside| bytes.get(beside)).any(u8::is_ascii_alphabetic);
            if !(is_mark(bytes[place]) || is_letter(bytes[place]) && in_word) {
                return false;
            }
            odd += 1;
        }
        at += chunk.invalid().len();
    }
    odd > 0
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
        || byte >= 0xc0 && !matches!(byte, 0xd7 | 0xf7)
        || matches!(byte, 0x8a | 0x9a | 0x8e | 0x9e)
}

/// Quotation marks, dashes, currencies and the like of Windows-1252.
fn is_mark(byte: u8) -> bool {
    matches!(byte, 0x80 | 0x82..=0x89 | 0x91..=0x99 | 0xa0..=0xbf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (String, Option<&'static str>) {
        let found = Found::default();
        // A small buffer, so that letters are cut.
        let input = std::io::BufReader::with_capacity(3, bytes);
        let mut text = Vec::new();
        Decoding::new(input, found.clone()).unwrap().unwrap().read_to_end(&mut text).unwrap();
        (String::from_utf8_lossy(&text).into_owned(), found.get())
    }

    fn utf_16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn each_encoding_is_read() {
        let text = "id,text\n1,Grüße aus Köln 🚆\n";
        assert_eq!(read(text.as_bytes()), (text.into(), None));
        assert_eq!(read(&[b"\xef\xbb\xbf", text.as_bytes()].concat()), (text.into(), None));
        for big in [true, false] {
            assert_eq!(read(&utf_16(text, big)), (text.into(), Some("UTF-16")), "{big}");
            assert_eq!(read(&utf_16(&format!("\u{feff}{text}"), big)), (text.into(), Some("UTF-16")), "{big}");
        }
    }

    #[test]
    fn latin_1_is_told_from_broken_utf_8() {
        let latin = b"Gr\xfc\xdfe aus K\xf6ln, 5 \x80 \x96 \xabdanke\xbb";
        assert!(is_latin_1(latin));
        assert_eq!(read(b"stra\xdfe 5 \x80").0, "straße 5 €");
        for broken in [&b"K\xc3\xb6ln and bad \xff"[..], b"bad \xff;5", "Köln".as_bytes(), b"plain", b"\xff\xfe\x01"] {
            assert!(!is_latin_1(broken), "{broken:?}");
        }
        assert!(Decoding::new(&b"\0\0\0\x01\0\0\0\0"[..], Found::default()).unwrap().is_none());
    }
}
