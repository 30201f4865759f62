//! Who the queue is to the lake. The lake's transactions carry the queue's identity and its offsets, and the lake skips
//! what lies at or below them; so a queue that was lost, restored or exchanged must not go on under the identity of the
//! one before. Here are what is compared at the start, the making of a new identity, and the copy for a backup.

use crate::embedded::Embedded;
use crate::error::{Doing, Error, Result};
use crate::partitions;
use crate::progress::Progress;
use crate::record::{self, Unreadable};
use crate::schema;
use domain::{Offset, PartitionId, PostId, Record};
use rusqlite::{OptionalExtension, Transaction, params};
use std::path::Path;
use std::sync::Arc;

/// Where a partition of the queue stands, to be compared with the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Application id of its transactions in the lake.
    pub partition: PartitionId,
    /// Offset of the newest record.
    pub last_offset: Offset,
    /// The highest offset that was acked: the lake has said that it holds everything up to here.
    pub acked_offset: Offset,
}

/// What [`Embedded::finish_rebuild`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The new identity.
    pub identity: String,
    /// Waiting records that were dropped because the lake holds their post.
    pub in_the_lake: u64,
}

impl Embedded {
    /// The name of the queue, which is that of its first partition.
    pub fn identity(&self) -> String {
        self.partitions()[0].as_str().to_owned()
    }

    /// The partitions; there is at least one.
    pub fn partitions(&self) -> Arc<[PartitionId]> {
        self.partitions.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Where each partition stands.
    pub async fn standing(&self) -> Result<Vec<Standing>> {
        let partitions = self.partitions();
        self.read_records(move |connection| {
            let standing = partitions.iter().map(|partition| {
                let (last_offset, acked_offset) = partitions::ends(connection, partition.index())?;
                Ok(Standing { partition: partition.clone(), last_offset, acked_offset })
            });
            standing.collect()
        })
        .await
    }

    /// The posts that wait in a partition at the offsets beyond `after`, up to `last`.
    pub async fn waiting_posts(&self, partition: &PartitionId, after: Offset, last: Offset) -> Result<Vec<PostId>> {
        let keys = partitions::range(partition.index());
        let (after, last) = (keys.start + after, (keys.start + last).min(keys.end - 1));
        let bodies: Vec<(u64, Vec<u8>)> = self
            .read_records(move |connection| {
                let sql = "SELECT offset, body FROM records WHERE offset > ? AND offset <= ?";
                let mut statement = connection.prepare_cached(sql)?;
                statement.query_map(params![after, last], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .await?;
        let posts = bodies.iter().filter_map(|(key, body)| match record::decode(*key, body) {
            Ok(Record::Post(post)) => Some(post.id),
            _ => None,
        });
        Ok(posts.collect())
    }

    /// Begins to write anew which posts are known, from what the lake holds. Nothing changes until
    /// [`Self::finish_rebuild`]; a rebuild that was cut short before is forgotten.
    pub async fn begin_rebuild(&self) -> Result<()> {
        let write = self.writer().write(1, |transaction| {
            transaction.execute_batch(
                "DROP TABLE IF EXISTS seen_rebuilt;
                 CREATE TABLE seen_rebuilt(
                     post_key BLOB PRIMARY KEY, state INTEGER NOT NULL, event_day INTEGER NOT NULL) WITHOUT ROWID;",
            )
        });
        write.await
    }

    /// Adds posts that the lake holds, by id, of one day (counted from 1970-01-01).
    pub async fn add_rebuilt(&self, post_ids: Vec<String>, day: i64) -> Result<()> {
        let write = self.writer().write(post_ids.len(), move |transaction| {
            let sql = "INSERT INTO seen_rebuilt(post_key, state, event_day) VALUES (?, 0, ?) ON CONFLICT DO NOTHING";
            let mut insert = transaction.prepare_cached(sql)?;
            post_ids.iter().try_for_each(|id| insert.execute(params![record::key(id), day]).map(drop))
        });
        write.await
    }

    /// Takes the rebuilt ids over, in one transaction with a new identity: known are the posts that the lake holds, those
    /// that wait, and the deletions known so far. What waits and is in the lake is dropped, because the new identity has
    /// no transaction in the lake that would skip it.
    pub async fn finish_rebuild(&self) -> Result<Rebuilt> {
        let count = self.partitions().len() as u16;
        let (identity, in_the_lake) = self
            .writer()
            .write(1, move |transaction| {
                let in_the_lake = settle_waiting(transaction)?;
                transaction.execute_batch(
                    "INSERT INTO seen_rebuilt SELECT post_key, state, event_day FROM seen WHERE state = 1
                         ON CONFLICT DO UPDATE SET state = 1;
                     DROP TABLE seen;
                     ALTER TABLE seen_rebuilt RENAME TO seen;",
                )?;
                if count > 1 {
                    transaction.execute_batch("UPDATE partitions SET acked_offset = 0")?;
                }
                transaction.execute_batch(schema::NEW_IDENTITY)?;
                Ok((schema::identity(transaction)?, in_the_lake))
            })
            .await?;
        *self.partitions.write().unwrap_or_else(std::sync::PoisonError::into_inner) =
            partitions::names(&identity, count).into();
        Ok(Rebuilt { identity, in_the_lake })
    }

    /// Writes a copy of the whole file, as of one moment, while others go on reading and writing; the copy is on disk
    /// when this returns. `path` must not exist.
    pub async fn copy_to(&self, path: &Path) -> Result<()> {
        let (from, to) = (self.path.clone(), path.to_path_buf());
        let copy = tokio::task::spawn_blocking(move || {
            let failed = |reason: String| Error::Copy { path: to.clone(), reason };
            let text = to.to_str().ok_or_else(|| failed("the path is not UTF-8".into()))?;
            if to.exists() {
                return Err(failed("there is a file of this name".into()));
            }
            // Made first, so that only its owner may read it.
            schema::make_file(&to)?;
            let connection = schema::open_reader(&from)?;
            connection.execute_batch("PRAGMA query_only = OFF").doing("prepare the copy")?;
            connection.execute("VACUUM INTO ?", params![text]).map_err(|error| failed(error.to_string()))?;
            let found: rusqlite::Result<String> =
                schema::open_reader(&to)?.query_row("PRAGMA quick_check", [], |row| row.get(0));
            match found {
                Ok(found) if found == "ok" => {}
                Ok(found) => return Err(failed(format!("the copy is damaged: {found}"))),
                Err(error) => return Err(failed(error.to_string())),
            }
            std::fs::File::open(&to).and_then(|file| file.sync_all()).map_err(|error| failed(error.to_string()))
        });
        copy.await.map_err(|_| Error::Closed)?
    }
}

/// Rows of the queue looked at in one go: bounds memory.
const PAGE: i64 = 2_000;

/// Drops the waiting posts that the rebuilt ids hold and adds the others to them; returns how many were dropped.
fn settle_waiting(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut progress = Progress::read(transaction)?;
    let (mut after, mut dropped) = (0, 0);
    loop {
        let rows = page(transaction, after)?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        for (offset, body) in rows {
            let Some(prepared) = prepared_post(offset, &body) else { continue };
            if is_in_the_lake(transaction, &prepared.post_key)? {
                transaction.prepare_cached("DELETE FROM records WHERE offset = ?")?.execute(params![offset])?;
                progress.waiting = progress.waiting.saturating_sub(1);
                progress.waiting_bytes = progress.waiting_bytes.saturating_sub(body.len() as u64);
                dropped += 1;
            }
        }
    }
    // Only now, so that two records of one post are told apart from a post in the lake.
    note_waiting(transaction)?;
    // Nothing was acked under the new identity.
    progress.acked_offset = 0;
    progress.write(transaction)?;
    Ok(dropped)
}

fn note_waiting(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO seen_rebuilt(post_key, state, event_day) VALUES (?, 0, ?) ON CONFLICT DO NOTHING";
    let mut after = 0;
    loop {
        let rows = page(transaction, after)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (offset, body) in rows {
            if let Some(prepared) = prepared_post(offset, &body) {
                transaction.prepare_cached(sql)?.execute(params![prepared.post_key, prepared.event_day])?;
            }
        }
    }
}

fn page(transaction: &Transaction<'_>, after: u64) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    let sql = "SELECT offset, body FROM records WHERE offset > ? ORDER BY offset LIMIT ?";
    let mut statement = transaction.prepare_cached(sql)?;
    statement.query_map(params![after, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// What the append of a stored post wrote; none for deletions and for what can't be read (set aside when it is lent).
fn prepared_post(offset: u64, body: &[u8]) -> Option<record::Prepared> {
    match record::decode(offset, body) {
        Ok(record @ Record::Post(_)) => record::prepare(&record).ok(),
        Ok(Record::Deletion(_)) | Err(Unreadable::Newer(_) | Unreadable::Damaged(_)) => None,
    }
}

fn is_in_the_lake(transaction: &Transaction<'_>, post_key: &[u8; 16]) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM seen_rebuilt WHERE post_key = ?";
    Ok(transaction.prepare_cached(sql)?.query_row(params![post_key], |_| Ok(())).optional()?.is_some())
}
