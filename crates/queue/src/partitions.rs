//! The partitions of the queue in its file. A post's partition follows from
//! the hash of its root id. An edit lies where its root lies; `roots` remembers where an edited post's own id would say
//! something else, so that its deletion and its next edit find it.

use crate::error::{Doing, Error, Result};
use crate::key;
use crate::progress::Progress;
use crate::record::Prepared;
use domain::{Offset, PartitionId};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::ops::Range;
use std::path::Path;

/// Most partitions of a queue.
pub const PARTITIONS_MAX: u16 = 1_024;

/// Format 4, for queues of several partitions only.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS partitions(
    n INTEGER PRIMARY KEY CHECK (n > 0), last_offset INTEGER NOT NULL, acked_offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS roots(
    post_key BLOB PRIMARY KEY, n INTEGER NOT NULL, event_day INTEGER NOT NULL) WITHOUT ROWID;
";

/// The names of a queue's partitions.
pub(crate) fn names(identity: &str, count: u16) -> Vec<PartitionId> {
    (0..count).map(|index| PartitionId::new(identity, index)).collect()
}

/// How many partitions the file has.
pub(crate) fn count(connection: &Connection) -> rusqlite::Result<u16> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'partitions'";
    let has_table: bool = connection.query_row(sql, [], |row| row.get(0))?;
    if !has_table {
        return Ok(1);
    }
    connection.query_row("SELECT 1 + count(*) FROM partitions", [], |row| row.get(0))
}

/// Adds the partitions that are wanted and not there. Returns whether it did. The number can only grow, and only while
/// nothing waits, because a waiting post's deletion must find its partition.
pub(crate) fn make(transaction: &Transaction<'_>, wanted: u16, path: &Path) -> Result<bool> {
    let found = count(transaction).doing("count the queue's partitions")?;
    let waiting = Progress::read(transaction).doing("read how much waits")?.waiting;
    let path = path.to_path_buf();
    if wanted == found {
        return Ok(false);
    }
    if wanted < found {
        return Err(Error::FewerPartitions { path, found, wanted });
    }
    if waiting > 0 {
        return Err(Error::PartitionsInUse { path, found, wanted, waiting });
    }
    transaction.execute_batch(TABLES).doing("make the tables of several partitions")?;
    for index in found..wanted {
        let insert = transaction.execute("INSERT INTO partitions VALUES (?, 0, 0)", params![index]);
        insert.doing("add a partition")?;
    }
    Ok(true)
}

/// The partition of a record, written down where its own id does not tell it.
pub(crate) fn place(transaction: &Transaction<'_>, record: &Prepared, count: u16) -> rusqlite::Result<u16> {
    if count == 1 {
        return Ok(0);
    }
    let by_hash = |key: &[u8; 16]| (u128::from_be_bytes(*key) % u128::from(count)) as u16;
    let mut find = transaction.prepare_cached("SELECT n FROM roots WHERE post_key = ?")?;
    let mut known = None;
    for key in record.replaced.iter().chain([&record.post_key]) {
        known = find.query_row(params![key], |row| row.get(0)).optional()?;
        if known.is_some() {
            break;
        }
    }
    let index = known.unwrap_or_else(|| by_hash(record.replaced.first().unwrap_or(&record.post_key)));
    if index != by_hash(&record.post_key) {
        let sql = "INSERT INTO roots(post_key, n, event_day) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(sql)?.execute(params![record.post_key, index, record.event_day])?;
    }
    Ok(index)
}

/// Gives the next offset of a partition. That of the first one is part of `progress`, which the caller writes.
pub(crate) fn next_offset(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    index: u16,
) -> rusqlite::Result<Offset> {
    if index == 0 {
        progress.last_offset += 1;
        return Ok(progress.last_offset);
    }
    let sql = "UPDATE partitions SET last_offset = last_offset + 1 WHERE n = ? RETURNING last_offset";
    transaction.prepare_cached(sql)?.query_row(params![index], |row| row.get(0))
}

/// Notes that a partition was acked up to this offset.
pub(crate) fn acked(
    transaction: &Transaction<'_>,
    progress: &mut Progress,
    index: u16,
    last: Offset,
) -> rusqlite::Result<()> {
    if index == 0 {
        progress.acked_offset = progress.acked_offset.max(last);
        return Ok(());
    }
    let sql = "UPDATE partitions SET acked_offset = max(acked_offset, ?) WHERE n = ?";
    transaction.prepare_cached(sql)?.execute(params![last, index]).map(drop)
}

/// The newest offset of a partition, and the highest that was acked.
pub(crate) fn ends(connection: &Connection, index: u16) -> rusqlite::Result<(Offset, Offset)> {
    if index == 0 {
        let Progress { last_offset, acked_offset, .. } = Progress::read(connection)?;
        return Ok((last_offset, acked_offset));
    }
    let sql = "SELECT last_offset, acked_offset FROM partitions WHERE n = ?";
    connection.prepare_cached(sql)?.query_row(params![index], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// When the oldest record was appended, in milliseconds since 1970.
pub(crate) fn oldest(connection: &Connection, count: u16) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT appended_ms FROM records WHERE offset > ? AND offset < ? ORDER BY offset LIMIT 1";
    let mut first = connection.prepare_cached(sql)?;
    let mut oldest = None;
    for index in 0..count {
        let Range { start, end } = key::range(index);
        let found: Option<i64> = first.query_row(params![start, end], |row| row.get(0)).optional()?;
        oldest = oldest.into_iter().chain(found).min();
    }
    Ok(oldest)
}
