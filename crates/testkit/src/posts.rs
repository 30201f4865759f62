//! Posts for tests: every field filled in, so that a test names only what it is about.

use chrono::{DateTime, Utc};
use domain::{
    Author, Deletion, EnrichedBatch, EnrichedPost, Enrichment, Language, Post, PostId, Provenance, Record, SourceId,
    Timestamp,
};
use std::sync::Arc;

/// The moment at which the posts of tests are received: 2026-11-01 12:00 UTC.
pub fn noon() -> Timestamp {
    DateTime::<Utc>::from_timestamp(1_793_534_400, 0).unwrap_or_default()
}

/// A post on X with this native id and text, written at [`noon`].
pub fn post(native_id: &str, text: &str) -> Post {
    Post {
        id: PostId::parse(format!("x:{native_id}")).expect("test ids are well formed"),
        source: SourceId("test".into()),
        platform: "x".into(),
        text: text.into(),
        author: Some(Author {
            id: Some("42".into()),
            username: Some("someone".into()),
            location: Some("Berlin".into()),
            followers: Some(7),
        }),
        url: Some(format!("https://x.com/someone/status/{native_id}")),
        occurred_at: noon(),
        received_at: noon(),
        language_hint: Some("en".into()),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: Vec::new(),
        reach: Some(7),
        provenance: Provenance::Stream,
        topics_hint: Vec::new(),
        payload_format: None,
        payload: serde_json::json!({"id": native_id, "text": text}).to_string(),
    }
}

/// [`post`] as a record.
pub fn record(native_id: &str) -> Record {
    Record::Post(Box::new(post(native_id, &format!("text of {native_id}"))))
}

/// The notice that a post on X is gone.
pub fn deletion(native_id: &str) -> Record {
    Record::Deletion(Deletion {
        id: PostId::parse(format!("x:{native_id}")).expect("test ids are well formed"),
        source: SourceId("test".into()),
        received_at: noon(),
    })
}

/// [`post`] with an enrichment that knows its language only, at offset 1.
pub fn enriched(native_id: &str, text: &str) -> EnrichedPost {
    EnrichedPost {
        offset: 1,
        post: post(native_id, text),
        enrichment: Enrichment {
            language: Language { code: "en".into(), confidence: 0.9 },
            model: "test 1".into(),
            ..Enrichment::default()
        },
        topics: Vec::new(),
        place: None,
        author_place: None,
        enriched_at: noon(),
    }
}

/// Posts as a batch of the partition `posts`, whose last offset is that of the last post.
pub fn batch(posts: Vec<EnrichedPost>) -> EnrichedBatch {
    let last_offset = posts.last().map_or(0, |post| post.offset);
    EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset,
        posts: Arc::new(posts),
        deletions: Vec::new(),
    }
}
