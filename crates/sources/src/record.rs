//! One record from outside, as bytes, into posts and deletions, or into a rejection with its reason. Pure functions: no
//! I/O, no clock. JSON is either X's own ([`x`]) or our simple form ([`simple`]), told apart by its keys; rows of CSV
//! become the simple form ([`table`]).

mod checks;
mod date;
mod mapping;
mod names;
mod notes;
mod repair;
pub mod simple;
pub mod table;
mod value;
pub mod x;

use domain::{Provenance, Record, SourceId, Timestamp};

pub use checks::TEXT_MAX_BYTES;
pub use mapping::ColumnMapping;
pub use notes::{Notes, Tally};

/// Longest record, in bytes: above any page of X's search, low enough to hold a batch in memory.
pub const RECORD_MAX_BYTES: usize = 8 << 20;
/// How much of a rejected record is kept.
const PAYLOAD_KEPT_BYTES: usize = 1 << 20;
/// Longest reason kept: the parser of JSON quotes what it did not expect, however long it is.
const REASON_MAX_CHARS: usize = 500;

/// Where records come from: what a record doesn't say itself.
#[derive(Debug, Clone)]
pub struct Origin {
    pub source: SourceId,
    /// The platform of records in the simple form that name none.
    pub platform: String,
    pub provenance: Provenance,
    pub received_at: Timestamp,
}

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

/// Reads one JSON record of any known form and adds what it gave to `parsed`. A page of X's search gives many.
pub fn parse(bytes: &[u8], origin: &Origin, parsed: &mut Parsed) {
    let text = match text_of(bytes) {
        Ok(text) => text,
        Err(reason) => return parsed.rejections.push(Rejection::new(reason, bytes)),
    };
    if let Some(result) = table::parse_kept(text, origin, &mut parsed.notes) {
        return keep(result, bytes, parsed);
    }
    match simple::read(text) {
        Err(reason) => match repair::repair(text).filter(|repaired| simple::read(repaired).is_ok()) {
            Some(repaired) => {
                parsed.notes.guess("records with NaN or half an emoji: left out or replaced", text);
                parse(repaired.as_bytes(), origin, parsed);
            }
            None => {
                let hint = repair::suspect(text.trim_start()).map_or_else(String::new, |hint| format!("; {hint}"));
                parsed.rejections.push(Rejection::new(format!("{reason}{hint}"), bytes));
            }
        },
        Ok(simple::Form::Simple(fields)) => {
            let result = simple::build(fields, text.trim().to_owned(), origin, &mut parsed.notes);
            keep(result, bytes, parsed);
        }
        Ok(simple::Form::X) => {
            let before = parsed.records.len() + parsed.rejections.len();
            x::parse_message(text, origin).settle(text, parsed);
            if parsed.records.len() + parsed.rejections.len() == before {
                parsed.rejections.push(Rejection::new("a message of X that holds no post", bytes));
            }
        }
    }
}

/// The same for JSON whose keys are named by a mapping.
pub fn parse_mapped(bytes: &[u8], mapping: &ColumnMapping, origin: &Origin, parsed: &mut Parsed) {
    match mapping.apply(bytes) {
        Some(mapped) => parse(mapped.as_bytes(), origin, parsed),
        None => parse(bytes, origin, parsed),
    }
}

fn keep(result: Result<Record, String>, bytes: &[u8], parsed: &mut Parsed) {
    match result {
        Ok(record) => parsed.records.push(record),
        Err(reason) => parsed.rejections.push(Rejection::new(reason, bytes)),
    }
}

/// The record as text, if it has a bearable size and is UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > RECORD_MAX_BYTES {
        return Err(format!("the record has {} bytes; at most {RECORD_MAX_BYTES} are accepted", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))
}
