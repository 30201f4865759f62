//! Bytes of a file into batches of records, on a thread of its own. Relies on `flate2` for gzip; lines,
//! rows ([`super::rows`]) and JSON values are cut here, so that one broken or huge record never stops the rest.

use super::rows::Rows;
use super::{FileConfig, Format, packed};
use crate::error::{Error, Result};
use crate::formats;
use crate::record::table::{Columns, sniff_delimiter};
use crate::record::{Origin, Parsed, RECORD_MAX_BYTES, Rejection};
use domain::{Clock, Record, Timestamp};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A batch is sent at so many records, or so many bytes of input: large enough that a group commit costs little, small
/// enough that four of them in memory don't matter.
const BATCH_RECORDS: usize = 4_096;
const BATCH_BYTES: usize = 4 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// Records that were read together.
pub(super) struct Batch {
    pub(super) parsed: Parsed,
    /// Bytes of the file read so far.
    pub(super) bytes: u64,
}

/// The file's size, where it has one.
pub(super) fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}

/// The date of the newest post, for shifting.
pub(super) fn newest(config: &FileConfig, clock: &dyn Clock) -> Result<Option<Timestamp>> {
    let mut newest = None;
    read(config, clock, |batch| {
        let dates = batch.parsed.records.iter().filter_map(|record| match record {
            Record::Post(post) => Some(post.occurred_at),
            Record::Deletion(_) => None,
        });
        newest = newest.max(dates.max());
        true
    })?;
    Ok(newest)
}

/// Reads to the end, or until `send` says that nobody listens any more.
pub(super) fn read(config: &FileConfig, clock: &dyn Clock, send: impl FnMut(Batch) -> bool) -> Result<()> {
    let name = config.path.display().to_string();
    let failed = |source: std::io::Error| Error::Read { name: name.clone(), source };
    let counted = Arc::new(AtomicU64::new(0));
    let mut input = open(&config.path, &counted).map_err(failed)?;
    let start = input.fill_buf().map_err(failed)?;
    if let Some(advice) = packed::advice(start, &name) {
        return Err(Error::Input(advice));
    }
    if start.starts_with(&[0xef, 0xbb, 0xbf]) {
        input.consume(3);
    }
    let mut batches = Batches { config, clock, counted, send, parsed: Parsed::default(), bytes: 0, origin: None };
    match format(config, input.fill_buf().map_err(failed)?, &mut batches.parsed) {
        Format::JsonLines => lines(&mut input, &mut batches).map_err(failed)?,
        Format::Json => values(&mut input, &mut batches).map_err(failed)?,
        Format::Csv => table(config, &mut input, &mut batches, &name)?,
    }
    batches.flush();
    Ok(())
}

/// What a file of X's archive begins with, before its list.
const ARCHIVE_OF_X: &[u8] = b"window.YTD.";

/// The format by the file's name, else by its first byte.
fn format(config: &FileConfig, start: &[u8], parsed: &mut Parsed) -> Format {
    if let Some(format) = config.format {
        return format;
    }
    let name = config.path.to_string_lossy().to_lowercase();
    let extension = name.trim_end_matches(".gz").rsplit('.').next().unwrap_or_default().to_owned();
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    match (extension.as_str(), first) {
        ("csv" | "tsv", _) => return Format::Csv,
        ("json", _) | (_, Some(b'[')) => return Format::Json,
        ("jsonl" | "ndjson", _) => return Format::JsonLines,
        _ if start.starts_with(ARCHIVE_OF_X) => return Format::Json,
        _ => {}
    }
    let (format, words) = match first {
        Some(b'{') => (Format::JsonLines, "files read as JSON lines, by their first byte"),
        _ => (Format::Csv, "files read as CSV, because nothing says otherwise"),
    };
    parsed.notes.guess(words, &config.path.display().to_string());
    format
}

fn open(path: &Path, counted: &Arc<AtomicU64>) -> std::io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read> =
        if path.as_os_str() == "-" { Box::new(std::io::stdin()) } else { Box::new(File::open(path)?) };
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, Counting { inner: raw, counted: counted.clone() });
    let gzip = plain.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain)))
    } else {
        Box::new(plain)
    })
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

/// Collects records and sends them in batches.
struct Batches<'a, F> {
    config: &'a FileConfig,
    clock: &'a dyn Clock,
    counted: Arc<AtomicU64>,
    send: F,
    parsed: Parsed,
    /// Bytes of input in the batch.
    bytes: usize,
    /// Kept for one batch, so that its posts share the time at which they were received.
    origin: Option<Origin>,
}

impl<F: FnMut(Batch) -> bool> Batches<'_, F> {
    /// Reads one record into the batch; says whether to go on. `line`: where it stands, to be told when it is rejected.
    fn add(&mut self, bytes: usize, line: Option<u64>, read: impl FnOnce(&Origin, &mut Parsed)) -> bool {
        let (config, clock) = (self.config, self.clock);
        let origin = self.origin.get_or_insert_with(|| config.origin(clock.now()));
        let before = self.parsed.rejections.len();
        read(origin, &mut self.parsed);
        for rejection in &mut self.parsed.rejections[before..] {
            let place = line.map_or_else(String::new, |line| format!("line {line}: "));
            self.parsed.notes.reject(&rejection.reason, &place);
            rejection.reason.insert_str(0, &place);
        }
        self.bytes += bytes;
        let full =
            self.parsed.records.len() + self.parsed.rejections.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES;
        !full || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.origin = None;
        self.bytes = 0;
        let parsed = std::mem::take(&mut self.parsed);
        if parsed == Parsed::default() {
            return true;
        }
        (self.send)(Batch { parsed, bytes: self.counted.load(Ordering::Relaxed) })
    }
}

/// One record a line; blank lines count for nothing.
fn lines(input: &mut dyn BufRead, batches: &mut Batches<'_, impl FnMut(Batch) -> bool>) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        let read = input.take(RECORD_MAX_BYTES as u64 + 2).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let cut = read > RECORD_MAX_BYTES && line.last() != Some(&b'\n');
        let mut dropped = 0;
        if cut {
            dropped = input.skip_until(b'\n')?;
        }
        let record = line.trim_ascii();
        if record.is_empty() {
            continue;
        }
        let mapping = &batches.config.columns;
        let go_on = batches.add(read, Some(number), |origin, parsed| {
            if cut {
                parsed.rejections.push(too_long(record, dropped));
            } else {
                formats::parse_mapped(record, mapping, origin, parsed);
            }
        });
        if !go_on {
            return Ok(());
        }
    }
}

fn too_long(start: &[u8], dropped: usize) -> Rejection {
    let bytes = start.len() + dropped;
    Rejection::new(format!("the record has {bytes} bytes; at most {RECORD_MAX_BYTES} are accepted"), start)
}

/// Values of a JSON array, or values one after the other: cut by counting braces outside of texts.
fn values(input: &mut dyn BufRead, batches: &mut Batches<'_, impl FnMut(Batch) -> bool>) -> std::io::Result<()> {
    let mut cutter = Cutter::default();
    let mapping = &batches.config.columns;
    if input.fill_buf()?.starts_with(ARCHIVE_OF_X) {
        input.skip_until(b'=')?;
    }
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            let rest = std::mem::take(&mut cutter.value);
            let rest = rest.trim_ascii();
            if !rest.is_empty() {
                batches.add(rest.len(), None, |origin, parsed| formats::parse_mapped(rest, mapping, origin, parsed));
            }
            return Ok(());
        }
        let length = chunk.len();
        let mut go_on = true;
        for byte in chunk {
            if cutter.feed(*byte) {
                let value = std::mem::take(&mut cutter.value);
                let dropped = std::mem::take(&mut cutter.dropped);
                go_on = batches.add(value.len(), None, |origin, parsed| {
                    if dropped > 0 {
                        parsed.rejections.push(too_long(&value, dropped));
                    } else {
                        formats::parse_mapped(&value, mapping, origin, parsed);
                    }
                });
                if !go_on {
                    break;
                }
            }
        }
        if !go_on {
            return Ok(());
        }
        input.consume(length);
    }
}

/// Finds where a JSON value ends.
#[derive(Default)]
struct Cutter {
    value: Vec<u8>,
    /// Bytes beyond the limit of a record.
    dropped: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Cutter {
    /// Takes a byte; says whether it ended a value.
    fn feed(&mut self, byte: u8) -> bool {
        if self.depth == 0 && !self.in_text {
            match byte {
                // The outer array, and what stands between values.
                b'[' | b']' | b',' | b' ' | b'\t' | b'\r' => return self.end_scalar(),
                b'\n' => return self.end_scalar(),
                _ => {}
            }
        }
        self.keep(byte);
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Something that is no object ends where white space or a comma follows; the parser will say what is wrong.
    fn end_scalar(&self) -> bool {
        !self.value.is_empty()
    }

    fn keep(&mut self, byte: u8) {
        if self.value.len() < RECORD_MAX_BYTES {
            self.value.push(byte);
        } else {
            self.dropped += 1;
        }
    }
}

fn table(
    config: &FileConfig,
    input: &mut dyn BufRead,
    batches: &mut Batches<'_, impl FnMut(Batch) -> bool>,
    name: &str,
) -> Result<()> {
    let failed = |source: std::io::Error| Error::Read { name: name.to_owned(), source };
    let start = input.fill_buf().map_err(failed)?;
    let delimiter = config.delimiter.unwrap_or_else(|| sniff_delimiter(start));
    let mut rows = Rows::new(input, delimiter);
    let Some(header) = rows.next(|_| false).map_err(failed)? else {
        return Err(Error::Input(format!("{name} is empty")));
    };
    if header.cells.as_slice().contains(&b'\r') {
        return Err(Error::Input(format!("{name} ends its lines with CR alone, as old Macs did: save it with LF")));
    }
    let header = csv::StringRecord::from_byte_record_lossy(header.cells);
    let columns = Columns::new(&header, &config.columns, delimiter)?;
    while let Some(row) = rows.next(|cells| columns.fit(cells)).map_err(failed)? {
        let go_on = batches.add(row.bytes, Some(row.line), |origin, parsed| {
            if row.dropped > 0 {
                return parsed.rejections.push(too_long(row.cells.as_slice(), row.dropped));
            }
            if row.unquoted {
                parsed.notes.guess(
                    "quotation marks that are never closed: the line was read without quoting",
                    &row.line.to_string(),
                );
            }
            match csv::StringRecord::from_byte_record(row.cells) {
                Ok(text) => columns.parse(&text, origin, parsed),
                Err(error) => {
                    let reason = format!("invalid UTF-8 in field {}", error.utf8_error().field() + 1);
                    let lossy = csv::StringRecord::from_byte_record_lossy(error.into_byte_record());
                    parsed.rejections.push(columns.reject(&lossy, reason.clone(), Some(reason)));
                }
            }
        });
        if !go_on {
            return Ok(());
        }
    }
    Ok(())
}
