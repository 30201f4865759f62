//! One record from outside, as bytes, into posts and deletions, or into a rejection with its reason. Pure functions: no
//! I/O, no clock. JSON is either X's own ([`x`]) or our simple form ([`simple`]), told apart by its keys; rows of CSV
//! become the simple form ([`table`]).

mod checks;
mod date;
pub mod simple;
pub mod table;
mod value;
pub mod x;

use domain::{Provenance, Record, SourceId, Timestamp};

pub use checks::TEXT_MAX_BYTES;

/// Longest record, in bytes: above any page of X's search, low enough to hold a batch in memory.
pub const RECORD_MAX_BYTES: usize = 8 << 20;
/// How much of a rejected record is kept.
const PAYLOAD_KEPT_BYTES: usize = 1 << 20;

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
        Self { reason: reason.into(), payload: text }
    }
}

/// What records gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    pub records: Vec<Record>,
    pub rejections: Vec<Rejection>,
}

/// Reads one JSON record of any known form and adds what it gave to `parsed`. A page of X's search gives many.
pub fn parse(bytes: &[u8], origin: &Origin, parsed: &mut Parsed) {
    let text = match text_of(bytes) {
        Ok(text) => text,
        Err(reason) => return parsed.rejections.push(Rejection::new(reason, bytes)),
    };
    match simple::read(text) {
        Err(reason) => parsed.rejections.push(Rejection::new(reason, bytes)),
        Ok(simple::Form::Simple(fields)) => match simple::build(fields, text.trim().to_owned(), origin) {
            Ok(record) => parsed.records.push(record),
            Err(reason) => parsed.rejections.push(Rejection::new(reason, bytes)),
        },
        Ok(simple::Form::X) => {
            let before = parsed.records.len() + parsed.rejections.len();
            x::parse_message(text, origin).settle(parsed);
            if parsed.records.len() + parsed.rejections.len() == before {
                parsed.rejections.push(Rejection::new("a message of X that holds no post", bytes));
            }
        }
    }
}

/// The record as text, if it has a bearable size and is UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > RECORD_MAX_BYTES {
        return Err(format!("the record has {} bytes; at most {RECORD_MAX_BYTES} are accepted", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {}", error.valid_up_to()))
}
