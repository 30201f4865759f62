//! What an append, an ack and a dead letter do within the writer's transaction.

use crate::key;
use crate::partitions;
use crate::progress::Progress;
use crate::record::Prepared;
use domain::{Appended, DeadLetter};
use rusqlite::{OptionalExtension, Transaction, params};
use xxhash_rust::xxh3::xxh3_128;

const POST: i64 = 0;
const DELETED: i64 = 1;

/// How much may wait on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) records_max: u64,
    pub(crate) bytes_max: u64,
}

impl Room {
    pub(crate) fn is_full(self, records: u64, bytes: u64) -> bool {
        records >= self.records_max || bytes >= self.bytes_max
    }
}

/// Appends all or, when there is no room, none; then the error says how full it is. A batch is taken whole while there
/// is any room, so the limits are passed by one batch at most.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    records: &[Prepared],
    partitions: u16,
    room: Room,
    now_ms: i64,
) -> rusqlite::Result<Result<Vec<Appended>, Progress>> {
    let mut progress = Progress::read(transaction)?;
    if progress.waiting >= room.records_max || progress.waiting_bytes >= room.bytes_max {
        return Ok(Err(progress));
    }
    let mut answers = Vec::with_capacity(records.len());
    let mut insert = transaction.prepare_cached("INSERT INTO records(offset, appended_ms, body) VALUES (?, ?, ?)")?;
    for record in records {
        let answer = match take_note(transaction, record)? {
            None => {
                let index = partitions::place(transaction, record, partitions)?;
                let offset = partitions::next_offset(transaction, &mut progress, index)?;
                progress.appended += 1;
                progress.waiting += 1;
                progress.waiting_bytes += record.body.len() as u64;
                insert.execute(params![key::of(index, offset), now_ms, record.body])?;
                Appended::Stored(offset)
            }
            Some(known) => {
                progress.duplicates += 1;
                known
            }
        };
        answers.push(answer);
    }
    progress.write(transaction)?;
    Ok(Ok(answers))
}

/// Writes the record's id down as seen; says what was known of it already when that keeps the record out.
fn take_note(transaction: &Transaction<'_>, record: &Prepared) -> rusqlite::Result<Option<Appended>> {
    if record.is_deletion {
        return Ok((!bury(transaction, &record.post_key, record.event_day)?).then_some(Appended::Duplicate));
    }
    let sql = "INSERT INTO seen(post_key, state, event_day) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    if transaction.prepare_cached(sql)?.execute(params![record.post_key, POST, record.event_day])? == 0 {
        let state = seen_state(transaction, &record.post_key)?;
        return Ok(Some(if state == Some(DELETED) { Appended::Deleted } else { Appended::Duplicate }));
    }
    for replaced in &record.replaced {
        bury(transaction, replaced, record.event_day)?;
    }
    Ok(None)
}

/// Leaves a tombstone that keeps the post out from now on; says whether there was none before.
fn bury(transaction: &Transaction<'_>, post_key: &[u8; 16], day: i64) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO seen(post_key, state, event_day) VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET state = excluded.state WHERE state <> excluded.state";
    Ok(transaction.prepare_cached(sql)?.execute(params![post_key, DELETED, day])? > 0)
}

fn seen_state(transaction: &Transaction<'_>, post_key: &[u8; 16]) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT state FROM seen WHERE post_key = ?";
    transaction.prepare_cached(sql)?.query_row(params![post_key], |row| row.get(0)).optional()
}

/// Forgets the records with keys from `first` to `last`, all of one partition.
pub(crate) fn ack(transaction: &Transaction<'_>, first: u64, last: u64) -> rusqlite::Result<()> {
    let mut progress = Progress::read(transaction)?;
    let sum = "SELECT coalesce(sum(length(body)), 0) FROM records WHERE offset BETWEEN ? AND ?";
    let bytes: u64 = transaction.prepare_cached(sum)?.query_row(params![first, last], |row| row.get(0))?;
    let delete = "DELETE FROM records WHERE offset BETWEEN ? AND ?";
    let records = transaction.prepare_cached(delete)?.execute(params![first, last])?;
    progress.waiting_bytes = progress.waiting_bytes.saturating_sub(bytes);
    progress.waiting = progress.waiting.saturating_sub(records as u64);
    let (index, offset) = (key::index_of(last), key::offset_of(last));
    partitions::acked(transaction, &mut progress, index, offset)?;
    progress.write(transaction)
}

/// A dead letter, ready to be written.
pub(crate) struct PreparedLetter {
    key: [u8; 16],
    body: String,
}

impl PreparedLetter {
    pub(crate) fn new(letter: &DeadLetter) -> serde_json::Result<Self> {
        let same = (&letter.source, &letter.reason, &letter.payload);
        let key = xxh3_128(&serde_json::to_vec(&same)?).to_be_bytes();
        Ok(Self { key, body: serde_json::to_string(letter)? })
    }
}

/// Keeps the letters that don't lie there yet; their ids are given here. Returns how many were new. Keeps all or, when
/// there is no room, none; a call is taken whole while there is any room. Without `room` there is no limit.
pub(crate) fn keep_letters(
    transaction: &Transaction<'_>,
    letters: &[PreparedLetter],
    room: Option<Room>,
) -> rusqlite::Result<Result<usize, Progress>> {
    let mut progress = Progress::read(transaction)?;
    if room.is_some_and(|room| room.is_full(progress.letters, progress.letter_bytes)) {
        return Ok(Err(progress));
    }
    let sql = "INSERT INTO dead_letters(letter_key, body) VALUES (?, ?) ON CONFLICT DO NOTHING";
    let mut insert = transaction.prepare_cached(sql)?;
    let mut kept = 0;
    for letter in letters {
        if insert.execute(params![letter.key, letter.body])? > 0 {
            kept += 1;
            progress.letters += 1;
            progress.letter_bytes += letter.body.len() as u64;
        }
    }
    progress.write(transaction)?;
    Ok(Ok(kept))
}

/// Moves a record that can't be read to the dead letters, so that it holds up nothing.
pub(crate) fn quarantine(transaction: &Transaction<'_>, key: u64, letter: &PreparedLetter) -> rusqlite::Result<()> {
    let sql = "DELETE FROM records WHERE offset = ? RETURNING length(body)";
    let bytes: Option<u64> = transaction.prepare_cached(sql)?.query_row(params![key], |row| row.get(0)).optional()?;
    let Some(bytes) = bytes else { return Ok(()) };
    keep_letters(transaction, std::slice::from_ref(letter), None)?.ok();
    let mut progress = Progress::read(transaction)?;
    progress.waiting_bytes = progress.waiting_bytes.saturating_sub(bytes);
    progress.waiting = progress.waiting.saturating_sub(1);
    progress.write(transaction)
}

/// Takes a letter out.
pub(crate) fn take_letter(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<String>> {
    let sql = "DELETE FROM dead_letters WHERE id = ? RETURNING body";
    let found: Option<String> = transaction.prepare_cached(sql)?.query_row(params![id], |row| row.get(0)).optional()?;
    if let Some(body) = &found {
        let mut progress = Progress::read(transaction)?;
        progress.letters = progress.letters.saturating_sub(1);
        progress.letter_bytes = progress.letter_bytes.saturating_sub(body.len() as u64);
        progress.write(transaction)?;
    }
    Ok(found)
}

/// A letter with the id that the queue gave it; one that can't be read is shown as it lies there.
pub(crate) fn letter(id: u64, body: &str) -> DeadLetter {
    match serde_json::from_str::<DeadLetter>(body) {
        Ok(letter) => DeadLetter { id, ..letter },
        Err(error) => DeadLetter {
            id,
            source: "queue".into(),
            platform: "queue".into(),
            reason: format!("stored dead letter {id}: {error}"),
            payload: body.to_owned(),
            payload_format: None,
            provenance: None,
            occurred_at: domain::Timestamp::UNIX_EPOCH,
        },
    }
}

/// Ids are forgotten in so many slices of their keys, each a short write.
pub(crate) const SLICES: u8 = 64;

/// Forgets the ids of one slice whose event lies before `day` (counted from 1970-01-01); returns how many.
pub(crate) fn forget_seen(
    transaction: &Transaction<'_>,
    slice: u8,
    day: i64,
    partitions: u16,
) -> rusqlite::Result<usize> {
    let width = 256 / u16::from(SLICES);
    let (from, to) = (u16::from(slice) * width, (u16::from(slice) + 1) * width);
    // A key of 17 bytes lies beyond all keys that begin with 0xFF.
    let end = u8::try_from(to).map_or_else(|_| vec![0xFF; 17], |to| vec![to]);
    let slice = params![vec![from as u8], end, day];
    if partitions > 1 {
        let sql = "DELETE FROM roots WHERE post_key >= ? AND post_key < ? AND event_day < ?";
        transaction.prepare_cached(sql)?.execute(slice)?;
    }
    let sql = "DELETE FROM seen WHERE post_key >= ? AND post_key < ? AND event_day < ?";
    transaction.prepare_cached(sql)?.execute(slice)
}
