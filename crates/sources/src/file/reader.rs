//! Bytes of a file into batches of records, on a thread of its own. What was read before a file breaks off is kept, and
//! where it broke is told.

use super::recognise::recognise;
use super::unpack::{self, Opened, Text};
use super::workbook::{self, Workbook};
use super::zip::Archive;
use super::{FileConfig, Format, encoding, json, tables};
use crate::error::{Error, Result};
use crate::record::{Origin, Parsed, RECORD_MAX_BYTES, Rejection};
use domain::{Clock, Record, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A batch is sent at so many records, or so many bytes of input: large enough that a group commit costs little, small
/// enough that four of them in memory don't matter.
const BATCH_RECORDS: usize = 4_096;
const BATCH_BYTES: usize = 4 << 20;

/// Records that were read together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parsed: Parsed,
    /// Bytes of the file read so far.
    pub(super) bytes: u64,
    /// What the file, or a file in it, was recognised as: sent before its records.
    pub(super) recognised: Option<String>,
}

/// The file's size, where it has one.
pub(super) fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|file| file.len())
}

/// The date of the newest post, for shifting.
pub(super) fn newest(config: &FileConfig, clock: &dyn Clock) -> Result<Option<Timestamp>> {
    let mut newest = None;
    read(config, clock, &mut |batch| {
        let dates = batch.parsed.records.iter().filter_map(|record| match record {
            Record::Post(post) => Some(post.occurred_at),
            Record::Deletion(_) => None,
        });
        newest = newest.max(dates.max());
        true
    })?;
    Ok(newest)
}

/// Reads to the end, or until `send` says that nobody listens any more. Returns where the file broke off, in words; an
/// error when nothing could be read.
pub(super) fn read(config: &FileConfig, clock: &dyn Clock, send: &mut dyn FnMut(Batch) -> bool) -> Result<Vec<String>> {
    let name = config.name.clone();
    let counted = Arc::new(AtomicU64::new(0));
    let opened = unpack::open(&config.path, &name, &counted)?;
    let mut batches =
        Batches { config, clock, counted, send, parsed: Parsed::default(), bytes: 0, records: 0, origin: None };
    let mut broken = Vec::new();
    let read = match opened {
        Opened::Text(opened) => text(opened, &mut batches, &name),
        Opened::Parquet(file) => {
            batches.tell(&name, "Parquet".into(), &[]);
            tables::parquet(file, &mut batches, &name)
        }
        Opened::Zip(file) => zip(&Archive::open(file, &name)?, &mut batches, &name, &mut broken),
    };
    batches.keep(read, &mut broken)?;
    Ok(broken)
}

/// The files of an archive, or the sheet of a workbook.
fn zip(archive: &Archive, batches: &mut Batches<'_>, name: &str, broken: &mut Vec<String>) -> Result<()> {
    if workbook::is_workbook(archive) {
        let workbook = Workbook::open(archive, name)?;
        let others =
            if workbook.sheets > 1 { format!(", the first of {} sheets", workbook.sheets) } else { String::new() };
        batches.tell(name, format!("the sheet {:?} of a workbook{others}", workbook.sheet), &[]);
        return tables::sheet(workbook, batches, name);
    }
    let texts = archive.texts();
    if texts.is_empty() {
        return Err(Error::Input(format!(
            "{name} is a zip archive without a file of posts (.json, .jsonl, .csv, .tsv, .txt)"
        )));
    }
    let other = archive.entries.len() - texts.len();
    if other > 0 {
        batches
            .parsed
            .notes
            .guess("files and folders in the archive that were not read", &format!("{other} in {name}"));
    }
    for entry in texts {
        let entry_name = format!("{} in {name}", entry.name);
        let read = archive.read(&entry).and_then(|input| unpack::text(input, &entry_name));
        let read = read.and_then(|opened| text(opened, batches, &entry_name));
        batches.keep(read, broken)?;
    }
    Ok(())
}

fn text(opened: Text, batches: &mut Batches<'_>, name: &str) -> Result<()> {
    let Text { input, packed, encoding } = opened;
    let mut input = unpack::limited(input, batches.config.bytes_max);
    let failed = |source: std::io::Error| Error::Read { name: name.to_owned(), source };
    let recognised = recognise(batches.config.format, name, input.fill_buf().map_err(failed)?);
    batches.tell(name, recognised.words, &packed.into_iter().chain(encoding.get()).collect::<Vec<_>>());
    let read = match recognised.format {
        Format::JsonLines => json::lines(&mut *input, batches).map_err(failed),
        Format::Json => json::values(&mut *input, batches).map_err(failed),
        Format::Csv => tables::rows(&mut *input, batches, name),
    };
    if let Some(encoding) = encoding.get().filter(|encoding| *encoding != encoding::UTF_16) {
        batches.parsed.notes.guess(&format!("texts in {encoding}: read as such"), name);
    }
    read
}

/// Collects records and sends them in batches.
pub(super) struct Batches<'a> {
    pub(super) config: &'a FileConfig,
    clock: &'a dyn Clock,
    counted: Arc<AtomicU64>,
    send: &'a mut dyn FnMut(Batch) -> bool,
    parsed: Parsed,
    /// Bytes of input in the batch.
    bytes: usize,
    /// Records of the file, or of the file in an archive.
    records: u64,
    /// Kept for one batch, so that its posts share the time at which they were received.
    origin: Option<Origin>,
}

impl Batches<'_> {
    /// Tells what a file was recognised as.
    fn tell(&mut self, name: &str, words: String, how: &[&str]) {
        let how: String = how.iter().flat_map(|how| [", ", how]).collect();
        // Nobody listening ends the first batch of records.
        (self.send)(Batch { recognised: Some(format!("{name}: {words}{how}")), ..Batch::default() });
    }

    /// Reads one record into the batch; says whether to go on. `place`: where it stands, for the reason of a rejection.
    pub(super) fn add(
        &mut self,
        bytes: usize,
        place: (&'static str, u64),
        read: impl FnOnce(&Origin, &mut Parsed),
    ) -> bool {
        let (config, clock) = (self.config, self.clock);
        let origin = self.origin.get_or_insert_with(|| config.origin(clock.now()));
        let before = self.parsed.rejections.len();
        read(origin, &mut self.parsed);
        for rejection in &mut self.parsed.rejections[before..] {
            let place = format!("{} {}: ", place.0, place.1);
            self.parsed.notes.reject(&rejection.reason, &place);
            rejection.reason.insert_str(0, &place);
        }
        self.records += 1;
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
        (self.send)(Batch { parsed, bytes: self.counted.load(Ordering::Relaxed), recognised: None })
    }

    /// Sends what was read, and notes where a file broke off if something of it was read.
    fn keep(&mut self, read: Result<()>, broken: &mut Vec<String>) -> Result<()> {
        self.flush();
        let records = std::mem::take(&mut self.records);
        match read {
            Err(error) if records > 0 => {
                broken.push(format!("{error}; the {records} records before it are kept"));
                Ok(())
            }
            other => other,
        }
    }
}

/// The rejection of a record that is longer than records may be.
pub(super) fn too_long(start: &[u8], dropped: usize) -> Rejection {
    let bytes = start.len() + dropped;
    Rejection::new(format!("the record has {bytes} bytes; at most {RECORD_MAX_BYTES} are accepted"), start)
}
