//! Batches of the records that a file holds.

use super::FileConfig;
use crate::error::Result;
use crate::record::{Origin, Parsed, RECORD_MAX_BYTES, Rejection};
use domain::Clock;
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

/// Collects records and sends them in batches.
pub(super) struct Batches<'a> {
    pub(super) config: &'a FileConfig,
    clock: &'a dyn Clock,
    counted: Arc<AtomicU64>,
    send: &'a mut dyn FnMut(Batch) -> bool,
    pub(super) parsed: Parsed,
    /// Bytes of input in the batch.
    bytes: usize,
    /// Records of the file, or of the file in an archive.
    records: u64,
    /// Kept for one batch, so that its posts share the time at which they were received.
    origin: Option<Origin>,
}

impl<'a> Batches<'a> {
    /// `counted`: bytes of the file read so far.
    pub(super) fn new(
        config: &'a FileConfig,
        clock: &'a dyn Clock,
        counted: Arc<AtomicU64>,
        send: &'a mut dyn FnMut(Batch) -> bool,
    ) -> Self {
        Self { config, clock, counted, send, parsed: Parsed::default(), bytes: 0, records: 0, origin: None }
    }

    /// Tells what a file was recognised as.
    pub(super) fn tell(&mut self, name: &str, words: String, how: &[&str]) {
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

    pub(super) fn flush(&mut self) -> bool {
        self.origin = None;
        self.bytes = 0;
        let parsed = std::mem::take(&mut self.parsed);
        if parsed == Parsed::default() {
            return true;
        }
        (self.send)(Batch { parsed, bytes: self.counted.load(Ordering::Relaxed), recognised: None })
    }

    /// Sends what was read, and notes where a file broke off if something of it was read.
    pub(super) fn keep(&mut self, read: Result<()>, broken: &mut Vec<String>) -> Result<()> {
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
