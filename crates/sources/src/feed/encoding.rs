//! The bytes of an answer as text: decompressed and decoded. Bytes that the charset does not have are replaced.

use super::discovery::attribute;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// Longest text after decompression.
const TEXT_MAX_BYTES: usize = 16 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text without byte order mark and XML declaration. `charset`: the one of the `Content-Type`.
pub(super) fn text(body: &[u8], charset: Option<&str>) -> Result<String, String> {
    let body = if body.starts_with(&GZIP) { Cow::Owned(decompressed(body)?) } else { Cow::Borrowed(body) };
    // RFC 7303: the byte order mark goes first, then the header, then the declaration.
    let encoding = label(charset).or_else(|| label(declared(&body).as_deref())).unwrap_or(UTF_8);
    let is_json = body.trim_ascii_start().starts_with(b"{");
    let (text, _, _) = if is_json { UTF_8 } else { encoding }.decode(&body);
    let text = text.trim_start();
    let declaration = text.strip_prefix("<?xml ").and_then(|rest| rest.split_once("?>"));
    let text = declaration.map_or(text, |(_, rest)| rest.trim_start());
    if text.is_empty() { Err("the answer is empty".into()) } else { Ok(text.to_owned()) }
}

/// Some servers send a compressed file without saying so.
fn decompressed(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let limit = TEXT_MAX_BYTES as u64 + 1;
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut text).map_err(|error| format!("broken gzip: {error}"))?;
    match text.len() > TEXT_MAX_BYTES {
        true => Err(format!("decompressed, it is longer than {} MiB", TEXT_MAX_BYTES >> 20)),
        false => Ok(text),
    }
}

fn label(charset: Option<&str>) -> Option<&'static Encoding> {
    Encoding::for_label(charset?.trim().as_bytes())
}

/// The encoding of the XML declaration. One that could be read byte by byte is not UTF-16, whatever it says.
fn declared(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&body[..body.len().min(256)]);
    let declaration = head.trim_start().strip_prefix("<?xml ")?.split("?>").next()?;
    attribute(declaration, "encoding").filter(|name| !name.to_ascii_lowercase().starts_with("utf-16"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn the_charset_is_that_of_the_mark_then_the_header_then_the_declaration() {
        let latin = b"<?xml version='1.0' encoding='iso-8859-1'?>\n<a>\xe9</a>";
        let utf8 = "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".as_bytes();
        let marked = [b"\xef\xbb\xbf", utf8].concat();
        let utf16: Vec<u8> = "\u{feff}<?xml version='1.0' encoding='utf-16'?><a>é</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (body, charset) in [(&latin[..], None), (utf8, Some("utf-8")), (&marked, Some("latin1")), (&utf16, None)] {
            assert_eq!(text(body, charset).as_deref(), Ok("<a>é</a>"), "{body:?}");
        }
        assert_eq!(text(b"<?xml version='1.0' encoding='utf-16'?><a/>", None).as_deref(), Ok("<a/>"));
        assert_eq!(text(b"<a>\xe9</a>", Some("no-such")).as_deref(), Ok("<a>\u{fffd}</a>"));
        assert_eq!(text(b"\xef\xbb\xbf{}", Some("latin1")).as_deref(), Ok("{}"));
        assert!(text(b" \n", None).unwrap_err().contains("empty"));
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_bounded() {
        let packed = |bytes: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        assert_eq!(text(&packed(b"<a/>"), None).as_deref(), Ok("<a/>"));
        assert!(text(&packed(&vec![b' '; TEXT_MAX_BYTES + 1]), None).unwrap_err().contains("16 MiB"));
        assert!(text(&[0x1f, 0x8b, 0], None).unwrap_err().contains("gzip"));
    }
}
