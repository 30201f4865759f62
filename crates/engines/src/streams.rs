//! Copies of posts to a stream of Amazon Data Firehose or Kinesis, as JSON lines: as they were received, or as they were
//! understood.

use crate::asking::{Limits, client};
use async_trait::async_trait;
use aws::streams::{RECORD_BYTES_MAX, Record, put};
use aws::{Client, Service, Settings};
use domain::{Clock, EnrichedPost, Error, PostSink, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a stream gets of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The original JSON.
    Raw,
    /// What was understood.
    Understood,
}

/// A stream.
pub struct AwsStream {
    client: Client,
    service: Service,
    name: String,
    content: Content,
}

impl AwsStream {
    /// A delivery stream of Firehose.
    ///
    /// # Errors
    /// Kind `Stop` when the client can't be made.
    pub fn firehose(
        name: &str,
        content: Content,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        Self::new(Service::Firehose, name, content, settings, clock, limits)
    }

    /// A data stream of Kinesis.
    ///
    /// # Errors
    /// As [`Self::firehose`].
    pub fn kinesis(
        name: &str,
        content: Content,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        Self::new(Service::Kinesis, name, content, settings, clock, limits)
    }

    fn new(
        service: Service,
        name: &str,
        content: Content,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        let client = Client::new(service, settings, client(limits)?, clock)?;
        Ok(Self { client, service, name: name.to_owned(), content })
    }

    /// One line; none where there is nothing to send, or too much.
    fn record(&self, post: &EnrichedPost) -> Option<Record> {
        let line = match self.content {
            Content::Raw => one_line(&post.post.payload)?,
            Content::Understood => understood(post).to_string(),
        };
        let key = post.post.id.to_string();
        if line.len() >= RECORD_BYTES_MAX {
            tracing::warn!(post = key, stream = self.name, bytes = line.len(), "a post is too large for the stream");
            return None;
        }
        Some(Record { key, data: format!("{line}\n").into_bytes() })
    }
}

#[async_trait]
impl PostSink for AwsStream {
    async fn put(&self, posts: &[EnrichedPost]) -> Result<()> {
        let records: Vec<Record> = posts.iter().filter_map(|post| self.record(post)).collect();
        // Whatever is refused, the posts wait until somebody has mended it.
        let failed = |error: Error| Error::retry(format!("stream {}: {error}", self.name));
        put(&self.client, self.service, &self.name, &records).await.map_err(failed)
    }
}

/// A payload on one line; what is not JSON stays as it is, without its line breaks.
fn one_line(payload: &str) -> Option<String> {
    if payload.trim().is_empty() {
        return None;
    }
    if !payload.contains(['\n', '\r']) {
        return Some(payload.to_owned());
    }
    let json: Option<Value> = serde_json::from_str(payload).ok();
    Some(json.map_or_else(|| payload.replace(['\n', '\r'], " "), |json| json.to_string()))
}

fn understood(post: &EnrichedPost) -> Value {
    let EnrichedPost { post: words, enrichment: e, topics, place, author_place, enriched_at, .. } = post;
    json!({
        "post_id": words.id.to_string(),
        "source": words.source.0,
        "platform": words.platform,
        "occurred_at": words.occurred_at,
        "received_at": words.received_at,
        "enriched_at": enriched_at,
        "author": words.author.as_ref().and_then(|author| author.username.as_ref()),
        "url": words.url,
        "text": words.text,
        "text_en": e.text_en,
        "language": e.language.code,
        "sentiment": e.sentiment,
        "category": e.category,
        "entities": e.entities,
        "key_phrases": e.key_phrases,
        "topics": topics,
        "place": place.as_ref().map(|(place, _)| place),
        "author_place": author_place,
        "model": e.model,
        "issues": e.issues,
    })
}
