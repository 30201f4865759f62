//! Enriched posts and a lake in a folder of its own, for the tests.

#![allow(dead_code, clippy::allow_attributes, reason = "the example that writes the fixture uses a part")]

use chrono::DateTime;
use domain::{
    Author, Category, Coordinates, EnrichedBatch, EnrichedPost, Enrichment, Entity, EntityKind, KeyPhrase, Language,
    ManualClock, Place, PlaceFrom, PlaceKind, Post, PostId, Provenance, QueryLimits, Rows, Sentiment, SentimentLabel,
    SourceId, Timestamp,
};
use lake::{Config, Lake};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Seconds after 2026-03-01 00:00 UTC.
pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_772_323_200 + seconds, 0).unwrap()
}

pub(crate) fn id(number: u64) -> PostId {
    PostId::new("x", &format!("{number:06}")).unwrap()
}

/// A post with everything that can be understood of one; its time is `number` minutes after the start.
pub(crate) fn enriched(number: u64) -> EnrichedPost {
    let post = Post {
        id: id(number),
        source: SourceId("test".into()),
        platform: "x".into(),
        text: format!("@rail the train {number} to Berlin was late #Verspätung"),
        author: Some(Author {
            id: Some("7".into()),
            username: Some("rider".into()),
            location: Some("Bonn".into()),
            followers: Some(12),
        }),
        url: Some(format!("https://x.com/rider/status/{number}")),
        occurred_at: at(number as i64 * 60),
        received_at: at(number as i64 * 60 + 1),
        language_hint: None,
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: Vec::new(),
        reach: Some(100),
        provenance: Provenance::Stream,
        topics_hint: Vec::new(),
        payload_format: Some("simple".into()),
        payload: format!("{{\"id\":\"{number}\"}}"),
    };
    let place = Place {
        name: "Berlin".into(),
        country: "DE".into(),
        region: Some("Berlin".into()),
        region_code: Some("BE".into()),
        coordinates: Coordinates { lat: 52.52, lon: 13.405 },
        kind: PlaceKind::City,
        confidence: 0.9,
    };
    EnrichedPost {
        offset: number,
        post,
        enrichment: enrichment(),
        topics: vec!["trains".into()],
        place: Some((place, PlaceFrom::Text)),
        author_place: None,
        enriched_at: at(number as i64 * 60 + 2),
    }
}

fn enrichment() -> Enrichment {
    let entity = |text: &str, kind| Entity { text: text.into(), kind, confidence: 0.9, begin: 0, end: 5 };
    Enrichment {
        language: Language { code: "en".into(), confidence: 0.9 },
        text_en: Some("the train was late".into()),
        sentiment: Some(Sentiment {
            label: SentimentLabel::Negative,
            positive: 0.1,
            negative: 0.7,
            neutral: 0.1,
            mixed: 0.1,
        }),
        entities: vec![entity("Berlin", EntityKind::Location), entity("#Verspätung", EntityKind::Hashtag)],
        key_phrases: vec![KeyPhrase { text: "the train".into(), confidence: 0.8, begin: 6, end: 15 }],
        category: Some(Category { label: "delay".into(), confidence: 0.8 }),
        fingerprint: Some(42),
        model: "test 1".into(),
        issues: vec!["translation: off".into()],
        ..Enrichment::default()
    }
}

/// A batch of the posts `numbers`, whose offsets are their numbers.
pub(crate) fn batch(numbers: std::ops::RangeInclusive<u64>) -> EnrichedBatch {
    EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: *numbers.end(),
        posts: Arc::new(numbers.map(enriched).collect()),
        deletions: Vec::new(),
    }
}

pub(crate) async fn open(folder: &Path, config: Config) -> Lake {
    Lake::open(folder.to_str().unwrap(), config, Arc::new(ManualClock::at(at(0)))).await.unwrap()
}

pub(crate) async fn rows(lake: &Lake, sql: &str) -> Rows {
    lake.query(sql, QueryLimits::default()).await.unwrap()
}

/// The one value of a query.
pub(crate) async fn one(lake: &Lake, sql: &str) -> Value {
    rows(lake, sql).await.rows.remove(0).remove(0)
}

/// Rows of raw, sentiment, entities, key_phrases.
pub(crate) async fn counts(lake: &Lake) -> [u64; 4] {
    let mut counts = [0; 4];
    for (count, table) in counts.iter_mut().zip(["raw", "sentiment", "entities", "key_phrases"]) {
        *count = one(lake, &format!("SELECT count(*) FROM {table}")).await.as_u64().unwrap();
    }
    counts
}

/// The error of a query that must fail.
pub(crate) async fn refused(lake: &Lake, sql: &str) -> String {
    let error = lake.query(sql, QueryLimits::default()).await.unwrap_err();
    assert_eq!(error.kind(), domain::ErrorKind::Reject, "{sql}: {error}");
    error.to_string()
}
