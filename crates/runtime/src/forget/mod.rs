//! Deletion that reaches everything: a post that its platform deletes, or that somebody forgets on purpose, leaves the
//! tables of posts at once (`lake`), and within minutes every copy that other parts made of it (`traces`). What has to be
//! cleared is written down first (`state::Deletions`), so that a crash or another process finishes it.

pub mod request;
#[cfg(test)]
mod tests;
mod traces;

use crate::clock::clock;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    Alert, Anomaly, EnrichedBatch, EnrichedPost, Health, PartitionId, PostId, PostTable, Result, StateStore, Timestamp,
};
use lake::Lake;
use queue::Embedded;
use state::{DeletionNote, Deletions};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
pub use traces::{Cleared, Traces};
use tracing::{info, warn};

/// How often deletions are carried on.
const EVERY: Duration = Duration::from_secs(120);
/// Traces are cleared twice: what was being written during the first time is there by the second.
const AGAIN: TimeDelta = TimeDelta::minutes(10);
/// Deletions carried on at once: bounds memory.
const POSTS_MAX: usize = 50_000;

/// Writes down that the traces of these posts are to be cleared.
async fn note(
    state: &dyn StateStore,
    key: &str,
    posts: BTreeSet<String>,
    authors: BTreeSet<String>,
    now: Timestamp,
) -> Result<()> {
    Deletions::new(state).note(key, &DeletionNote { at: now, posts, authors, cleared_once: false }).await
}

/// The lake's tables, with a note of every deletion before it is committed.
pub struct NotedTable {
    pub lake: Arc<Lake>,
    pub state: Arc<dyn StateStore>,
}

#[async_trait]
impl PostTable for NotedTable {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        if !batch.deletions.is_empty() {
            // The same key for the same batch: a replay notes nothing twice.
            let key = format!("{}-{}", batch.partition, batch.last_offset);
            let posts = batch.deletions.iter().map(PostId::to_string).collect();
            note(self.state.as_ref(), &key, posts, BTreeSet::new(), clock().now()).await?;
        }
        self.lake.commit(batch).await
    }

    async fn committed(&self, partition: &PartitionId) -> Result<Option<u64>> {
        self.lake.committed(partition).await
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        self.lake.rewrite(posts).await
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        self.lake.put_anomalies(anomalies).await
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        self.lake.put_alerts(alerts).await
    }
}

/// Clears the traces of deleted posts until told to stop.
pub async fn run(
    queue: Arc<Embedded>,
    lake: Arc<Lake>,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<()> {
    loop {
        let now = clock().now();
        match carry_on(&queue, &lake, now).await {
            Ok(()) => health.recovered("deletion"),
            Err(error) => {
                health.failed("deletion", &error, now);
                warn!(%error, "traces of deleted posts could not be cleared; trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Clears the traces of the deletions that are due.
pub async fn carry_on(queue: &Embedded, lake: &Lake, now: Timestamp) -> Result<()> {
    let deletions = Deletions::new(queue);
    let (mut due, mut posts, mut authors) = (Vec::new(), HashSet::new(), HashSet::new());
    for deletion in deletions.list().await? {
        let is_due = !deletion.value.cleared_once || now - deletion.value.at >= AGAIN;
        if is_due && posts.len() < POSTS_MAX {
            posts.extend(deletion.value.posts.iter().cloned());
            authors.extend(deletion.value.authors.iter().cloned());
            due.push(deletion);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let cleared = Traces { queue, lake, posts, authors }.clear().await?;
    for deletion in due {
        deletions.cleared(deletion).await?;
    }
    queue.truncate_log().await?;
    if cleared != Cleared::default() {
        info!(
            anomalies = cleared.anomalies,
            documents = cleared.documents,
            dead_letters = cleared.dead_letters,
            labels = cleared.labels,
            "traces of deleted posts cleared"
        );
    }
    Ok(())
}
