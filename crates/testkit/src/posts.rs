//! Posts for tests: every field filled in, so that a test names only what it is about.

use chrono::{DateTime, Utc};
use domain::{Author, Deletion, Post, PostId, Provenance, Record, SourceId, Timestamp};

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
