//! Batches into the tables: rows that are not there yet, in files of their own, under the batch's transaction; then the
//! batch's deletions.

use crate::error::{Error, Result};
use crate::files::{discard, write_file};
use crate::lake::Lake;
use crate::rows;
use crate::schema::TableName;
use crate::storage::blocking;
use crate::table::{Advance, Change, Committed};
use async_trait::async_trait;
use deltalake::kernel::Add;
use domain::{Alert, Anomaly, EnrichedBatch, EnrichedPost, Offset, PartitionId, PostId, PostTable};
use std::collections::HashSet;
use std::time::Instant;
use tracing::warn;

/// How often rows are prepared again because another writer moved the transaction.
const TRIES_MAX: usize = 8;

#[async_trait]
impl PostTable for Lake {
    #[tracing::instrument(level = "warn", name = "lake commit", skip_all, fields(posts = batch.posts.len(), last_offset = batch.last_offset))]
    async fn commit(&self, batch: EnrichedBatch) -> domain::Result<()> {
        self.writable()?;
        let _turn = self.writing.lock().await;
        let began = Instant::now();
        self.commit_rows(&batch).await?;
        let gone: HashSet<String> = batch.deletions.iter().map(PostId::to_string).collect();
        self.delete(&gone).await?;
        metrics::histogram!("overheard_lake_commit_seconds").record(began.elapsed().as_secs_f64());
        Ok(())
    }

    async fn committed(&self, partition: &PartitionId) -> domain::Result<Option<u64>> {
        // Another process may have committed.
        for name in TableName::OF_POSTS {
            self.table(name).refresh().await?;
        }
        Ok(self.transactions(partition.as_str()).await?.map(|(least, _)| least))
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> domain::Result<()> {
        self.writable()?;
        let _turn = self.writing.lock().await;
        Ok(self.replace_posts(posts).await?)
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> domain::Result<()> {
        self.writable()?;
        let ids = anomalies.iter().map(|anomaly| anomaly.id.clone()).collect();
        let rows = rows::of_anomalies(&newest(anomalies, |anomaly| &anomaly.id))?;
        Ok(self.replace(TableName::Anomalies, ids, None, rows).await?)
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> domain::Result<()> {
        self.writable()?;
        let ids = alerts.iter().map(|alert| alert.id.clone()).collect();
        let rows = rows::of_alerts(&newest(alerts, |alert| &alert.id))?;
        Ok(self.replace(TableName::Alerts, ids, None, rows).await?)
    }
}

/// The last of each id, in order: one call may bring a thing twice.
fn newest<T>(items: Vec<T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut kept: Vec<T> = items.into_iter().rev().filter(|item| seen.insert(id(item).clone())).collect();
    kept.reverse();
    kept
}

/// A table's part of a batch, written and not yet committed.
struct Prepared {
    step: Advance,
    adds: Vec<Add>,
}

impl Lake {
    /// Writes the files of all tables side by side, then commits table after table. Files that don't get into a commit
    /// are taken off the disk again.
    async fn commit_rows(&self, batch: &EnrichedBatch) -> Result<()> {
        let tables = TableName::OF_POSTS;
        let prepared = futures::future::join_all(tables.map(|name| self.prepare(name, batch))).await;
        let mut failure = None;
        for (name, prepared) in tables.into_iter().zip(prepared) {
            let outcome = match prepared {
                Ok(prepared) if failure.is_none() => self.commit_table(name, batch, prepared).await,
                Ok(prepared) => {
                    let root = self.table(name).root.clone();
                    blocking(move || {
                        discard(&root, &prepared.map_or_else(Vec::new, |prepared| prepared.adds));
                        Ok(())
                    })
                    .await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn commit_table(&self, name: TableName, batch: &EnrichedBatch, prepared: Option<Prepared>) -> Result<()> {
        let (table, mut prepared, mut tries) = (self.table(name), prepared, 0);
        while let Some(Prepared { step, adds }) = prepared {
            let change = Change { adds, transaction: Some(step), ..Change::default() };
            if table.commit(&change).await? == Committed::Done {
                // The rows are safe; what the next commits cost is no reason to report this one as failed.
                if let Err(error) = table.checkpoint(self.config.checkpoint_commits).await {
                    warn!(table = name.as_str(), %error, "checkpoint failed");
                }
                break;
            }
            tries += 1;
            if tries == TRIES_MAX {
                return Err(Error::Contended(name.as_str()));
            }
            prepared = self.prepare(name, batch).await?;
        }
        Ok(())
    }

    /// Writes the rows of the batch that the table doesn't have; none when it has them all. A batch is refused while one
    /// before it is missing: its rows would be skipped for ever. A batch without rows for
    /// the table still moves its transaction, so that all tables stand at the same offset between batches.
    async fn prepare(&self, name: TableName, batch: &EnrichedBatch) -> Result<Option<Prepared>> {
        let table = self.table(name);
        let partition = batch.partition.as_str();
        let mut from = table.transaction(partition).await?;
        if batch.after_offset > held(from) {
            // Another process may have committed what is missing.
            table.refresh().await?;
            from = table.transaction(partition).await?;
        }
        let to = i64::try_from(batch.last_offset).unwrap_or(i64::MAX);
        if from.is_some_and(|from| from >= to) {
            return Ok(None);
        }
        if batch.after_offset > held(from) {
            return Err(Error::Gap {
                table: name.as_str(),
                partition: batch.partition.to_string(),
                held: held(from),
                after: batch.after_offset,
            });
        }
        let step = Advance { app: batch.partition.to_string(), from, to, at: self.clock.now() };
        let (root, batch, now) = (table.root.clone(), batch.clone(), self.clock.now());
        let adds = blocking(move || {
            let posts = pending(&batch, from);
            let rows = rows::of_posts(name, &posts)?;
            let mut adds = Vec::with_capacity(rows.len());
            for (day, rows) in &rows {
                match write_file(&root, name, *day, rows, now) {
                    Ok(add) => adds.push(add),
                    Err(error) => {
                        discard(&root, &adds);
                        return Err(error);
                    }
                }
            }
            Ok(adds)
        });
        Ok(Some(Prepared { step, adds: adds.await? }))
    }
}

/// The offset up to which a table holds a partition.
fn held(transaction: Option<i64>) -> Offset {
    transaction.and_then(|version| u64::try_from(version).ok()).unwrap_or(0)
}

/// The batch's posts beyond the transaction, without those that the batch itself deletes.
fn pending(batch: &EnrichedBatch, from: Option<i64>) -> Vec<&EnrichedPost> {
    let gone: HashSet<&PostId> = batch.deletions.iter().collect();
    let beyond = |post: &&EnrichedPost| from.is_none_or(|from| i64::try_from(post.offset).unwrap_or(i64::MAX) > from);
    batch.posts.iter().filter(beyond).filter(|post| !gone.contains(&post.post.id)).collect()
}
