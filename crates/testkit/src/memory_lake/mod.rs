//! A lake in memory: it keeps what was committed to it, takes a batch once, and answers the questions of
//! `domain::analytics` by going through all posts.

mod answers;

use async_trait::async_trait;
use domain::{
    Alert, Anomaly, EnrichedBatch, EnrichedPost, PartitionId, PostId, PostTable, RawPost, RawPosts, RawSelection,
    Result,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryLake(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    posts: BTreeMap<PostId, EnrichedPost>,
    /// Rows ever written for a post: above 1 would be a post counted twice.
    written: HashMap<PostId, u32>,
    versions: HashMap<PartitionId, u64>,
    commits: u64,
    /// Grows with every change.
    changes: u64,
    /// Questions that were asked.
    asked: u64,
    /// Exports fail after so many pieces.
    export_pieces_max: Option<usize>,
    anomalies: BTreeMap<String, Anomaly>,
    alerts: BTreeMap<String, Alert>,
}

impl MemoryLake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The posts that are there now, by id.
    pub fn posts(&self) -> Vec<EnrichedPost> {
        self.state().posts.values().cloned().collect()
    }

    /// Posts that were written more than once, rewrites aside.
    pub fn written_twice(&self) -> Vec<PostId> {
        self.state().written.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id.clone()).collect()
    }

    /// Commits that wrote something.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Questions that were asked so far.
    pub fn asked(&self) -> u64 {
        self.state().asked
    }

    /// From now on exports fail after so many pieces; none: they succeed.
    pub fn break_exports_after(&self, pieces: Option<usize>) {
        self.state().export_pieces_max = pieces;
    }

    /// Anomalies, by id.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        self.state().anomalies.values().cloned().collect()
    }

    /// Alerts, by id.
    pub fn alerts(&self) -> Vec<Alert> {
        self.state().alerts.values().cloned().collect()
    }
}

#[async_trait]
impl PostTable for MemoryLake {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        let mut state = self.state();
        let covered = state.versions.get(&batch.partition).copied().unwrap_or(0);
        if batch.last_offset <= covered {
            return Ok(());
        }
        for post in batch.posts.iter().filter(|post| post.offset > covered) {
            *state.written.entry(post.post.id.clone()).or_default() += 1;
            state.posts.insert(post.post.id.clone(), post.clone());
        }
        for id in &batch.deletions {
            state.posts.remove(id);
        }
        state.versions.insert(batch.partition, batch.last_offset);
        state.commits += 1;
        state.changes += 1;
        Ok(())
    }

    async fn committed(&self, partition: &PartitionId) -> Result<Option<u64>> {
        Ok(self.state().versions.get(partition).copied())
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        let mut state = self.state();
        state.changes += 1;
        for post in posts {
            if let Some(place) = state.posts.get_mut(&post.post.id) {
                *place = post;
            }
        }
        Ok(())
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        let mut state = self.state();
        state.changes += 1;
        state.anomalies.extend(anomalies.into_iter().map(|anomaly| (anomaly.id.clone(), anomaly)));
        Ok(())
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        let mut state = self.state();
        state.changes += 1;
        state.alerts.extend(alerts.into_iter().map(|alert| (alert.id.clone(), alert)));
        Ok(())
    }
}

/// Whether a post is selected; every post that is kept was enriched.
fn is_selected(post: &EnrichedPost, selection: &RawSelection) -> bool {
    let at = post.post.occurred_at;
    match selection {
        RawSelection::Range(range) => range.from <= at && at < range.to,
        RawSelection::Days(days) => days.contains(&at.date_naive()),
        RawSelection::NotEnriched => false,
        RawSelection::Ids(ids) => ids.contains(&post.post.id),
    }
}

#[async_trait]
impl RawPosts for MemoryLake {
    async fn count_raw(&self, selection: &RawSelection) -> Result<u64> {
        Ok(self.state().posts.values().filter(|post| is_selected(post, selection)).count() as u64)
    }

    async fn raw_posts(&self, selection: &RawSelection, after: &str, limit: usize) -> Result<Vec<RawPost>> {
        let state = self.state();
        let selected =
            state.posts.values().filter(|post| is_selected(post, selection) && post.post.id.as_str() > after);
        let raw = selected.map(|EnrichedPost { post, .. }| RawPost {
            post_id: post.id.to_string(),
            source: post.source.0.clone(),
            platform: post.platform.clone(),
            provenance: post.provenance.as_str().to_owned(),
            received_at: post.received_at,
            payload: post.payload.clone(),
            payload_format: post.payload_format.clone(),
        });
        Ok(raw.take(limit).collect())
    }
}
