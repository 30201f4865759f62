//! A lake that remembers what was committed to it, with the promise that a batch is never taken twice.

use async_trait::async_trait;
use domain::{Alert, Anomaly, EnrichedBatch, EnrichedPost, PostId, PostTable, Result};
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
    versions: HashMap<String, u64>,
    commits: u64,
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
        Ok(())
    }

    async fn committed(&self, partition: &str) -> Result<Option<u64>> {
        Ok(self.state().versions.get(partition).copied())
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        let mut state = self.state();
        for post in posts {
            if let Some(place) = state.posts.get_mut(&post.post.id) {
                *place = post;
            }
        }
        Ok(())
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        self.state().anomalies.extend(anomalies.into_iter().map(|anomaly| (anomaly.id.clone(), anomaly)));
        Ok(())
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        self.state().alerts.extend(alerts.into_iter().map(|alert| (alert.id.clone(), alert)));
        Ok(())
    }
}
