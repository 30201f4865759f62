//! Bytes of a file into batches of records, on a thread of its own. What was read before a file breaks off is kept, and
//! where it broke is told.

use super::batches::{Batch, Batches};
use super::recognise::recognise;
use super::unpack::{self, Opened, Text};
use super::workbook::{self, Workbook};
use super::zip::Archive;
use super::{FileConfig, Format, encoding, json, tables};
use crate::error::{Error, Result};
use domain::{Clock, Record, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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
    let mut batches = Batches::new(config, clock, counted, send);
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
