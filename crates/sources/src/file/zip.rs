//! Zip archives: the list at their end, and their entries, stored or deflated. Relies on `flate2`. Encrypted archives and
//! those above 4 GiB (zip64) are refused.

use super::unpack::Input;
use crate::error::{Error, Result};
use flate2::read::DeflateDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

/// The list of entries is searched in the last bytes: its end record and the longest comment.
const END_BYTES: u64 = 22 + 65_535;
const END_MARK: &[u8] = b"PK\x05\x06";
const ENTRY_MARK: &[u8] = b"PK\x01\x02";
const ENTRIES_MAX: usize = 100_000;
/// Names of files with records.
const TEXTS: [&str; 7] = ["json", "jsonl", "ndjson", "csv", "tsv", "txt", "js"];

/// An open archive.
pub(super) struct Archive {
    name: String,
    file: File,
    pub(super) entries: Vec<Entry>,
}

/// A file in the archive.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    method: u16,
    encrypted: bool,
    packed_bytes: u64,
    offset: u64,
}

impl Archive {
    pub(super) fn open(mut file: File, name: &str) -> Result<Self> {
        let failed = |source| Error::Read { name: name.to_owned(), source };
        let broken = |what: &str| Error::Input(format!("{name} is a zip archive, but {what}"));
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.seek(SeekFrom::Start(size.saturating_sub(END_BYTES))).map_err(failed)?;
        let mut end = Vec::new();
        (&file).take(END_BYTES).read_to_end(&mut end).map_err(failed)?;
        let at = end.windows(4).rposition(|bytes| bytes == END_MARK);
        let at = at
            .filter(|at| end.len() >= at + 22)
            .ok_or_else(|| broken("its list of files is missing: it is cut off"))?;
        let (bytes, offset) = (u32_at(&end, at + 12), u32_at(&end, at + 16));
        if u16_at(&end, at + 10) == u16::MAX || offset == u32::MAX {
            return Err(broken("of the 64-bit kind: unpack it first"));
        }
        file.seek(SeekFrom::Start(offset.into())).map_err(failed)?;
        let mut list = Vec::new();
        (&file).take(bytes.into()).read_to_end(&mut list).map_err(failed)?;
        let entries = entries(&list).ok_or_else(|| broken("its list of files is damaged"))?;
        Ok(Self { name: name.to_owned(), file, entries })
    }

    /// The entry of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entries that hold records: those of an archive of X or Mastodon that are posts, else those with names of texts.
    pub(super) fn texts(&self) -> Vec<Entry> {
        let files = || self.entries.iter().filter(|entry| is_file(&entry.name));
        let of =
            |wanted: fn(&str) -> bool| files().filter(|entry| wanted(last(&entry.name))).cloned().collect::<Vec<_>>();
        let exports: [fn(&str) -> bool; 2] = [is_tweets, |name| name == "outbox.json"];
        let export = exports.into_iter().map(of).find(|found| !found.is_empty());
        export.unwrap_or_else(|| of(is_text))
    }

    /// The bytes of an entry, unpacked.
    pub(super) fn read(&self, entry: &Entry) -> Result<Input> {
        let whole = || format!("{} in {}", entry.name, self.name);
        let failed = |source| Error::Read { name: whole(), source };
        if entry.encrypted {
            return Err(Error::Input(format!("{} is encrypted: unpack it first", whole())));
        }
        let mut file = self.file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(entry.offset)).map_err(failed)?;
        let mut head = [0; 30];
        file.read_exact(&mut head).map_err(failed)?;
        let names = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        // A place of its own: clones of a file share theirs.
        let bytes = Part { file, at: entry.offset + 30 + names, left: entry.packed_bytes };
        let input: Input = match entry.method {
            0 => Box::new(BufReader::new(bytes)),
            8 => Box::new(BufReader::new(DeflateDecoder::new(bytes))),
            other => return Err(Error::Input(format!("{} is packed by method {other}: unpack it first", whole()))),
        };
        Ok(input)
    }

    /// An entry as text, up to `bytes_max`; empty when there is none of this name.
    pub(super) fn text(&self, name: &str, bytes_max: u64) -> Result<Input> {
        match self.find(name) {
            Some(entry) => Ok(Box::new(BufReader::new(self.read(entry)?.take(bytes_max)))),
            None => Ok(Box::new(std::io::empty())),
        }
    }
}

/// A part of a file.
struct Part {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.at))?;
        let read = (&self.file).take(self.left).read(buffer)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

fn entries(mut list: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while list.starts_with(ENTRY_MARK) && entries.len() < ENTRIES_MAX {
        let head = list.get(..46)?;
        let name_bytes = usize::from(u16_at(head, 28));
        let rest = usize::from(u16_at(head, 30)) + usize::from(u16_at(head, 32));
        let name = String::from_utf8_lossy(list.get(46..46 + name_bytes)?).into_owned();
        entries.push(Entry {
            name,
            method: u16_at(head, 10),
            encrypted: u16_at(head, 8) & 1 == 1,
            packed_bytes: u32_at(head, 20).into(),
            offset: u32_at(head, 42).into(),
        });
        list = list.get(46 + name_bytes + rest..)?;
    }
    Some(entries)
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn is_file(name: &str) -> bool {
    !name.ends_with('/') && !name.starts_with("__MACOSX/") && !last(name).starts_with('.')
}

/// `tweets.js`, `tweets-part1.js`; in old archives `tweet.js`.
fn is_tweets(name: &str) -> bool {
    matches!(name, "tweets.js" | "tweet.js") || name.starts_with("tweets-part") && name.ends_with(".js")
}

fn is_text(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = [".gz", ".zst", ".bz2"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    plain.rsplit_once('.').is_some_and(|(_, extension)| TEXTS.contains(&extension))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}
