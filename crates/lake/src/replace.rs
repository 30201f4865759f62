//! Rows taken out or replaced by their key: the files that hold them are written anew without them, and one commit
//! swaps the files. Files that can't hold a key (by their statistics, or by their day) are not opened.

use crate::error::{Error, Result};
use crate::files::{NewFile, Purpose, StoredFile, day_of, discard, write_file};
use crate::lake::Lake;
use crate::location::Location;
use crate::rows;
use crate::schema::TableName;
use crate::storage::blocking;
use crate::table::{Change, Committed};
use arrow::array::{AsArray, BooleanArray, RecordBatch};
use chrono::NaiveDate;
use deltalake::kernel::{Add, LogicalFileView};
use domain::{EnrichedPost, PartitionId, Timestamp};
use std::collections::HashSet;
use std::sync::Arc;

/// How often the swap is prepared again because a compaction or another writer was faster.
const TRIES_MAX: usize = 16;

/// Days by the name of their folder.
type Days = HashSet<String>;

/// Rows of one day each.
type Rows = Vec<(NaiveDate, RecordBatch)>;

impl Lake {
    /// Takes posts out of every table. `raw` comes last: it tells where the others have to look, so a deletion that is
    /// cut short is found again.
    pub(crate) async fn delete(&self, ids: &HashSet<String>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let (found, days) = self.find(TableName::Raw, ids, None).await?;
        if found.is_empty() {
            return Ok(());
        }
        for name in TableName::OF_POSTS.into_iter().rev() {
            self.replace(name, found.clone(), Some(days.clone()), Vec::new()).await?;
        }
        Ok(())
    }

    /// Takes posts out of every table at once, beside the batches (a deletion that somebody asks for).
    pub async fn delete_posts(&self, ids: &HashSet<String>) -> domain::Result<()> {
        self.writable()?;
        let _turn = self.writing.lock().await;
        Ok(self.delete(ids).await?)
    }

    /// Replaces the rows of posts that are in the lake; posts that aren't (deleted meanwhile) stay out.
    pub(crate) async fn replace_posts(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        self.refuse_half_batches().await?;
        let ids: HashSet<String> = posts.iter().map(|post| post.post.id.to_string()).collect();
        let days: Days = posts.iter().map(|post| post.post.occurred_at.date_naive().to_string()).collect();
        let (found, days) = self.find(TableName::Raw, &ids, Some(days)).await?;
        let posts: Arc<Vec<EnrichedPost>> =
            Arc::new(posts.into_iter().filter(|post| found.contains(post.post.id.as_str())).collect());
        for name in TableName::OF_POSTS.into_iter().rev() {
            let of_table = Arc::clone(&posts);
            let rows = blocking(move || rows::of_posts(name, &of_table.iter().collect::<Vec<_>>())).await?;
            self.replace(name, found.clone(), Some(days.clone()), rows).await?;
        }
        Ok(())
    }

    /// A batch that a crash cut short is in some tables only: its replay adds the rest, so a rewrite must not.
    async fn refuse_half_batches(&self) -> Result<()> {
        let queue = self.owner().await?.unwrap_or_else(|| self.config.partition.clone());
        for index in 0..self.config.partitions {
            let partition = PartitionId::new(&queue, index);
            let mut versions = HashSet::new();
            for name in TableName::OF_POSTS {
                versions.insert(self.table(name).transaction(partition.as_str()).await?);
            }
            if versions.len() > 1 {
                return Err(Error::Contended(TableName::Sentiment.as_str()));
            }
        }
        Ok(())
    }

    /// Which of the keys a table holds, and in which days.
    async fn find(
        &self,
        name: TableName,
        ids: &HashSet<String>,
        days: Option<Days>,
    ) -> Result<(HashSet<String>, Days)> {
        let files = self.table(name).files()?;
        let (root, ids) = (self.table(name).root.clone(), ids.clone());
        blocking(move || {
            let (mut found, mut found_days) = (HashSet::new(), Days::new());
            for file in files.iter().filter(|file| may_hold(file, name, &ids, days.as_ref())) {
                let held = keys_in(&root, name, file, &ids)?;
                if !held.is_empty() {
                    found_days.insert(day_of(file));
                    found.extend(held);
                }
            }
            Ok((found, found_days))
        })
        .await
    }

    /// Takes out every row with one of the keys and puts in the new rows, in one commit. `days` are the only days that
    /// can hold the keys; None: any.
    pub(crate) async fn replace(
        &self,
        name: TableName,
        ids: HashSet<String>,
        days: Option<Days>,
        rows: Rows,
    ) -> Result<()> {
        let table = self.table(name);
        let (ids, days, rows) = (Arc::new(ids), Arc::new(days), Arc::new(rows));
        for _ in 0..TRIES_MAX {
            let files = table.files()?;
            let (root, now) = (table.root.clone(), self.clock.now());
            let (ids, days, rows) = (Arc::clone(&ids), Arc::clone(&days), Arc::clone(&rows));
            let change = blocking(move || {
                let mut change = Change::default();
                let mut prepare = || -> Result<()> {
                    for file in files.iter().filter(|file| may_hold(file, name, &ids, (*days).as_ref())) {
                        if !keys_in(&root, name, file, &ids)?.is_empty() {
                            change.removes.push(file.remove_action(true));
                            change.adds.extend(without(&root, name, file, &ids, now)?);
                        }
                    }
                    for (day, rows) in rows.iter() {
                        change.adds.push(write_file(&root, name, *day, rows, now)?);
                    }
                    Ok(())
                };
                if let Err(error) = prepare() {
                    discard(&root, &change.adds);
                    return Err(error);
                }
                Ok(change)
            });
            let change = change.await?;
            let nothing = change.adds.is_empty() && change.removes.is_empty();
            if nothing || table.commit(&change).await? == Committed::Done {
                return Ok(());
            }
        }
        Err(Error::Contended(name.as_str()))
    }
}

/// Whether the file can hold one of the keys, by its day and its statistics.
fn may_hold(file: &LogicalFileView, table: TableName, ids: &HashSet<String>, days: Option<&Days>) -> bool {
    if days.is_some_and(|days| !days.contains(&day_of(file))) {
        return false;
    }
    let stats = file.stats().and_then(|stats| serde_json::from_str::<serde_json::Value>(&stats).ok());
    let bound = |which: &str| Some(stats.as_ref()?.get(which)?.get(table.key())?.as_str()?.to_owned());
    match (bound("minValues"), bound("maxValues")) {
        (Some(min), Some(max)) => ids.iter().any(|id| *id >= min && *id <= max),
        _ => true,
    }
}

/// Which of the keys are in the file.
fn keys_in(
    root: &Location,
    table: TableName,
    file: &LogicalFileView,
    ids: &HashSet<String>,
) -> Result<HashSet<String>> {
    let mut stored = StoredFile::open(root, table, &file.path(), Some(table.key()))?;
    let mut found = HashSet::new();
    while let Some(batch) = stored.next_stored()? {
        let keys = batch.column(0).as_string_opt::<i32>();
        found.extend(keys.into_iter().flatten().flatten().filter(|key| ids.contains(*key)).map(str::to_owned));
    }
    Ok(found)
}

/// Writes the file anew without the rows of the keys; none when no row is left.
fn without(
    root: &Location,
    table: TableName,
    file: &LogicalFileView,
    ids: &HashSet<String>,
    now: Timestamp,
) -> Result<Option<Add>> {
    let Ok(day) = day_of(file).parse::<NaiveDate>() else { return Ok(None) };
    let mut stored = StoredFile::open(root, table, &file.path(), None)?;
    let mut fresh = NewFile::create(root, table, day, Purpose::Compaction)?;
    let mut rows = 0;
    while let Some(batch) = stored.next()? {
        let kept = keep_others(table, &batch, ids)?;
        rows += kept.num_rows();
        fresh.write(&kept)?;
    }
    if rows == 0 {
        return Ok(None);
    }
    fresh.finish(true, now).map(Some)
}

pub(crate) fn keep_others(table: TableName, batch: &RecordBatch, ids: &HashSet<String>) -> Result<RecordBatch> {
    let keys = batch.column_by_name(table.key()).and_then(|column| column.as_string_opt::<i32>());
    let Some(keys) = keys else { return Ok(batch.clone()) };
    let keep: BooleanArray = keys.iter().map(|key| Some(key.is_none_or(|key| !ids.contains(key)))).collect();
    let kept = arrow::compute::filter_record_batch(batch, &keep);
    kept.map_err(|source| Error::Rows { table: table.as_str(), source })
}
