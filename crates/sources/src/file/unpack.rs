//! The bytes of a file, unpacked: gzip, zstd and bzip2, one in the other where need be. Archives and tables in binary form
//! are told apart here, by their first bytes. Relies on `flate2`, `zstd` and `bzip2`.

use super::advice::advice;
use super::encoding::{Decoding, Found};
use crate::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) type Input = Box<dyn BufRead>;

const BUFFER_BYTES: usize = 256 << 10;
/// Packings one in the other.
const LAYERS_MAX: usize = 3;

/// What a file holds, by its first bytes.
pub(super) enum Opened {
    Text(Text),
    /// A zip archive, or a workbook, which is one.
    Zip(File),
    Parquet(File),
}

/// A text as UTF-8.
pub(super) struct Text {
    pub(super) input: Input,
    /// How it is packed, the outermost first.
    pub(super) packed: Vec<&'static str>,
    pub(super) encoding: Found,
}

/// Opens a file, or standard input. `counted` follows the bytes that were read of it.
pub(super) fn open(path: &Path, name: &str, counted: &Arc<AtomicU64>) -> Result<Opened> {
    let failed = |source| Error::Read { name: name.to_owned(), source };
    let is_file = path.as_os_str() != "-";
    let raw: Box<dyn Read> =
        if is_file { Box::new(File::open(path).map_err(failed)?) } else { Box::new(std::io::stdin()) };
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, Counting { inner: raw, counted: counted.clone() });
    let start = plain.fill_buf().map_err(failed)?;
    let (is_zip, is_parquet) = (start.starts_with(b"PK\x03\x04"), start.starts_with(b"PAR1"));
    if !(is_zip || is_parquet) {
        return text(Box::new(plain), name).map(Opened::Text);
    }
    if !is_file {
        return Err(Error::Input(format!(
            "{name} is an archive or a binary table, which can't be read from a pipe: give the file"
        )));
    }
    let file = File::open(path).map_err(failed)?;
    Ok(if is_zip { Opened::Zip(file) } else { Opened::Parquet(file) })
}

/// The text in packed or plain bytes.
pub(super) fn text(input: Input, name: &str) -> Result<Text> {
    let failed = |source| Error::Read { name: name.to_owned(), source };
    let mut packed = Vec::new();
    let mut input = input;
    while packed.len() < LAYERS_MAX {
        let start = input.fill_buf().map_err(failed)?;
        let (unpacked, layer): (Box<dyn Read>, _) = match start {
            [0x1f, 0x8b, ..] => (Box::new(MultiGzDecoder::new(input)), "gzip"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                (Box::new(zstd::stream::read::Decoder::with_buffer(input).map_err(failed)?), "zstd")
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => (Box::new(bzip2::bufread::MultiBzDecoder::new(input)), "bzip2"),
            _ => break,
        };
        input = Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked));
        packed.push(layer);
    }
    if let Some(advice) = advice(input.fill_buf().map_err(failed)?, name) {
        return Err(Error::Input(advice));
    }
    let encoding = Found::default();
    let decoding = Decoding::new(input, encoding.clone()).map_err(failed)?;
    let input = decoding.ok_or_else(|| Error::Input(format!("{name} is no text: it holds NUL bytes")))?;
    Ok(Text { input: Box::new(input), packed, encoding })
}

/// The same text, which fails after so many bytes: a few packed bytes can stand for any number.
pub(super) fn limited(input: Input, bytes_max: Option<u64>) -> Input {
    match bytes_max {
        Some(left) => Box::new(Limited { inner: input, bytes_max: left, left }),
        None => input,
    }
}

struct Limited {
    inner: Input,
    bytes_max: u64,
    left: u64,
}

impl BufRead for Limited {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            let mib = self.bytes_max >> 20;
            return Err(std::io::Error::other(format!("more than {mib} MiB once unpacked: use overheard import")));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        self.inner.consume(bytes);
    }
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Counts the bytes that go through.
struct Counting<R> {
    inner: R,
    counted: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.counted.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
