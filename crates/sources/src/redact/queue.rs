//! A queue that takes things out of what is put into it: nothing behind it ever holds them.

use super::{Redact, redact_payload, redact_post};
use async_trait::async_trait;
use domain::{Appended, DeadLetter, PostId, PostQueue, QueueDepth, Record, Result};
use std::sync::Arc;

/// A queue in front of another.
pub struct RedactedQueue {
    queue: Arc<dyn PostQueue>,
    what: Vec<Redact>,
}

impl RedactedQueue {
    /// The queue itself if nothing is to be taken out.
    pub fn before(queue: Arc<dyn PostQueue>, what: &[Redact]) -> Arc<dyn PostQueue> {
        if what.is_empty() { queue } else { Arc::new(Self { queue, what: what.to_vec() }) }
    }
}

#[async_trait]
impl PostQueue for RedactedQueue {
    async fn append(&self, mut records: Vec<Record>) -> Result<Vec<Appended>> {
        for record in &mut records {
            if let Record::Post(post) = record {
                redact_post(post, &self.what);
            }
        }
        self.queue.append(records).await
    }

    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        self.queue.has(ids).await
    }

    async fn dead_letter(&self, mut letters: Vec<DeadLetter>) -> Result<()> {
        for letter in &mut letters {
            for text in [&mut letter.payload, &mut letter.reason] {
                *text = redact_payload(text, &self.what).unwrap_or_else(|| std::mem::take(text));
            }
        }
        self.queue.dead_letter(letters).await
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
