//! Records from outside: where they come from, what they give, why one is rejected, and the checks and readers that all
//! formats share. Here are the formats that belong to no platform: our simple form of JSON ([`simple`]) and rows of CSV
//! ([`table`]); and what platforms and tools export ([`exports`]). Pure functions: no I/O, no clock.

pub(crate) mod checks;
pub(crate) mod date;
pub(crate) mod exports;
mod mapping;
mod names;
mod notes;
pub(crate) mod repair;
pub mod simple;
pub mod table;
pub(crate) mod value;

use domain::Record;

pub use checks::{TEXT_MAX_BYTES, platform as check_platform};
pub use domain::Origin;
pub use mapping::ColumnMapping;
pub use notes::{Notes, Tally};

/// Longest record, in bytes: above any page of X's search, low enough to hold a batch in memory.
pub const RECORD_MAX_BYTES: usize = 8 << 20;
/// How much of a rejected record is kept.
const PAYLOAD_KEPT_BYTES: usize = 1 << 20;
/// Longest reason kept: the parser of JSON quotes what it did not expect, however long it is.
const REASON_MAX_CHARS: usize = 500;

/// The platform that is assumed where none is known: files without one were X's in earlier versions.
pub(crate) const PLATFORM_ASSUMED: &str = "x";

/// A record that can't be kept, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// In words: what is wrong and where.
    pub reason: String,
    /// What came in, as far as it is text (invalid bytes replaced, at most 1 MiB).
    pub payload: String,
}

impl Rejection {
    pub(crate) fn new(reason: impl Into<String>, payload: &[u8]) -> Self {
        let kept = &payload[..payload.len().min(PAYLOAD_KEPT_BYTES)];
        let mut text = String::from_utf8_lossy(kept).into_owned();
        if kept.len() < payload.len() {
            text.push_str(&format!("… ({} bytes in all)", payload.len()));
        }
        let mut reason = reason.into();
        if let Some((end, _)) = reason.char_indices().nth(REASON_MAX_CHARS) {
            reason.truncate(end);
            reason.push('…');
        }
        Self { reason, payload: text }
    }
}

/// What records gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    pub records: Vec<Record>,
    pub rejections: Vec<Rejection>,
    /// What to tell about how they were read.
    pub notes: Notes,
}

impl Parsed {
    /// Adds a record, or its rejection.
    pub(crate) fn keep(&mut self, result: Result<Record, String>, bytes: &[u8]) {
        match result {
            Ok(record) => self.records.push(record),
            Err(reason) => self.rejections.push(Rejection::new(reason, bytes)),
        }
    }
}

/// A format of payloads, with the parser that reads it.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The name that is stored with each post. It is never given to another format.
    pub name: &'static str,
    pub parse: fn(&str, &Origin, &mut Parsed),
}

/// The record as text, if it has a bearable size and is UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > RECORD_MAX_BYTES {
        return Err(format!("the record has {} bytes; at most {RECORD_MAX_BYTES} are accepted", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))
}
