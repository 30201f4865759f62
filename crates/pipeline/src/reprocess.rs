//! Enriches stored posts again, from their payloads, and writes their rows anew. What people corrected stays as they said.

use crate::understand::Understand;
use domain::{
    Category, EnrichedPost, Enrichment, Error, ErrorKind, Origin, Post, PostId, Provenance, RawPost, RawPosts,
    RawSelection, ReadPayload, Record, Result, Sentiment, SentimentLabel, SourceId, StateStore, Timestamp,
};
use state::{Correction, Labels};
use std::collections::HashMap;
use std::sync::Arc;

/// Posts read, enriched and written at once: bounds memory.
const CHUNK: usize = 5_000;

/// How many posts were enriched again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reprocessed {
    pub done: usize,
    /// Posts that can't be read or understood any more; their rows stay as they are.
    pub failed: usize,
}

/// Enriches stored posts again.
#[derive(Clone)]
pub struct Reprocess {
    pub understand: Arc<Understand>,
    pub read: ReadPayload,
}

impl Reprocess {
    /// Rewrites the rows of all selected posts; `progress` is told how many more are done.
    pub async fn run(
        &self,
        lake: &dyn RawPosts,
        state: &dyn StateStore,
        selection: &RawSelection,
        now: Timestamp,
        progress: impl Fn(usize),
    ) -> Result<Reprocessed> {
        let labels = Labels::new(state).current().await?;
        let (mut total, mut after) = (Reprocessed::default(), String::new());
        loop {
            let stored = lake.raw_posts(selection, &after, CHUNK).await?;
            let Some(last) = stored.last() else { return Ok(total) };
            after.clone_from(&last.post_id);
            let Reprocessed { done, failed } = self.rewrite(lake, &labels, &stored, now).await?;
            (total.done, total.failed) = (total.done + done, total.failed + failed);
            progress(stored.len());
        }
    }

    /// Rewrites the rows of these posts.
    pub(crate) async fn rewrite(
        &self,
        lake: &dyn RawPosts,
        labels: &HashMap<PostId, Correction>,
        stored: &[RawPost],
        now: Timestamp,
    ) -> Result<Reprocessed> {
        let posts: Vec<Post> = stored.iter().filter_map(|raw| self.post(raw)).collect();
        let understand = Arc::clone(&self.understand);
        let answers = tokio::task::spawn_blocking(move || understand.posts(posts, now)).await;
        let answers = answers.map_err(|error| Error::caused(ErrorKind::Stop, "the understanding failed", error))?;
        let mut posts: Vec<EnrichedPost> = answers.into_iter().flatten().collect();
        for post in &mut posts {
            if let Some(label) = labels.get(&post.post.id) {
                relabel(&mut post.enrichment, label);
            }
        }
        let done = posts.len();
        lake.rewrite(posts).await?;
        Ok(Reprocessed { done, failed: stored.len() - done })
    }

    /// The post of a stored payload, if it can still be read.
    fn post(&self, raw: &RawPost) -> Option<Post> {
        let origin = Origin {
            source: SourceId(raw.source.clone()),
            platform: raw.platform.clone(),
            provenance: Provenance::parse(&raw.provenance)?,
            received_at: raw.received_at,
        };
        let read = (self.read)(raw.payload_format.as_deref(), &raw.payload, &origin);
        let mut posts = read.records.into_iter().filter_map(|record| match record {
            Record::Post(post) => Some(*post),
            Record::Deletion(_) => None,
        });
        posts.find(|post| post.id.as_str() == raw.post_id)
    }
}

/// What a person said replaces what the model said; its probabilities stay.
fn relabel(enrichment: &mut Enrichment, correction: &Correction) {
    if let Some(label) = correction.sentiment {
        let sure = |of: SentimentLabel| if of == label { 1.0 } else { 0.0 };
        let (positive, negative) = (sure(SentimentLabel::Positive), sure(SentimentLabel::Negative));
        let (neutral, mixed) = (sure(SentimentLabel::Neutral), sure(SentimentLabel::Mixed));
        let unread = Sentiment { label, positive, negative, neutral, mixed };
        enrichment.sentiment = Some(Sentiment { label, ..enrichment.sentiment.unwrap_or(unread) });
    }
    if let Some(label) = &correction.category {
        enrichment.category = Some(Category { label: label.clone(), confidence: 1.0 });
    }
}
