//! A queue and a state, in memory, that count the steps of a connector (appends and writes) and can cut it off between
//! any two, as a crash would.

use crate::MemoryQueue;
use async_trait::async_trait;
use domain::{Appended, DeadLetter, Error, Post, PostId, PostQueue, QueueDepth, Record, Result, StateStore, Swap};
use serde_json::Value;
use state::MemoryState;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The queue and the state.
#[derive(Default)]
pub struct Steps {
    queue: MemoryQueue,
    state: MemoryState,
    /// Steps until the cut; negative: cut.
    left: AtomicI64,
    is_full: AtomicBool,
    refused: AtomicU64,
}

impl Steps {
    /// Never cuts.
    pub fn endless() -> Arc<Self> {
        Self::cut_after(u64::try_from(i64::MAX).unwrap_or(0))
    }

    /// Cuts after so many steps: what is called then never returns.
    pub fn cut_after(steps: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(i64::try_from(steps).unwrap_or(i64::MAX)), ..Self::default() })
    }

    /// Whether the cut has come.
    pub fn is_cut(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    /// Cuts no more.
    pub fn mend(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
    }

    /// A full queue refuses appends.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Appends refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    pub fn posts(&self) -> Vec<Post> {
        self.queue.posts()
    }

    pub fn records(&self) -> Vec<Record> {
        self.queue.records()
    }

    /// Ids of the posts, without versions that were replaced.
    pub fn post_ids(&self) -> BTreeSet<String> {
        self.posts().into_iter().map(|post| post.id.into()).collect()
    }

    /// Everything that a connector wrote, as text.
    pub fn everything_written(&self) -> String {
        format!("{:?} {:?} {:?}", self.queue, self.state, self.records())
    }

    /// One step; the next one never returns when it is the cut.
    async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.left.store(i64::MIN / 2, Ordering::SeqCst);
            std::future::pending().await
        }
    }
}

#[async_trait]
impl PostQueue for Steps {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>> {
        if self.is_full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::retry("the queue is full"));
        }
        self.step().await;
        let answers = self.queue.append(records).await?;
        self.step().await;
        Ok(answers)
    }

    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        self.queue.has(ids).await
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.step().await;
        self.queue.dead_letter(letters).await?;
        self.step().await;
        Ok(())
    }

    async fn dead_letters_before(&self, before: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        self.queue.dead_letters_before(before, limit).await
    }

    async fn find_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        self.queue.find_dead_letter(id).await
    }

    async fn remove_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        self.queue.remove_dead_letter(id).await
    }

    async fn depth(&self) -> Result<QueueDepth> {
        self.queue.depth().await
    }
}

#[async_trait]
impl StateStore for Steps {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        self.state.get(kind, key).await
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        self.step().await;
        self.state.put(kind, key, value).await?;
        self.step().await;
        Ok(())
    }

    async fn swap(&self, changes: Vec<Swap>) -> Result<bool> {
        self.state.swap(changes).await
    }

    async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
        self.state.delete(kind, key).await
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
        self.state.list(kind).await
    }
}
