//! Posts, deletions and a clock for the queue's tests.

#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses its part")]

use chrono::DateTime;
use domain::{Appended, Deletion, ManualClock, Post, PostId, Provenance, Record, SourceId, Timestamp, WorkQueue};
use queue::{Config, Embedded};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

pub(crate) fn id(number: u64) -> PostId {
    PostId::new("x", &number.to_string()).unwrap()
}

pub(crate) fn post(number: u64) -> Record {
    edit(number, &[])
}

/// A post that replaces earlier ones.
pub(crate) fn edit(number: u64, replaces: &[u64]) -> Record {
    Record::Post(Box::new(Post {
        id: id(number),
        source: SourceId("test".into()),
        platform: "x".into(),
        text: format!("post {number}: the train was late again"),
        author: None,
        url: None,
        occurred_at: at(0),
        received_at: at(1),
        language_hint: Some("en".into()),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: replaces.iter().map(|number| id(*number)).collect(),
        reach: None,
        provenance: Provenance::Stream,
        topics_hint: Vec::new(),
        payload_format: None,
        payload: format!("{{\"id\":\"{number}\"}}"),
    }))
}

pub(crate) fn deletion(number: u64) -> Record {
    Record::Deletion(Deletion { id: id(number), source: SourceId("test".into()), received_at: at(2) })
}

pub(crate) fn open(folder: &Path, config: Config, clock: &Arc<ManualClock>) -> Embedded {
    Embedded::open(folder.join("overheard.db"), config, Arc::clone(clock) as Arc<dyn domain::Clock>).unwrap()
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(at(0)))
}

/// Everything that waits, leased and acked in batches of `limit`.
pub(crate) async fn drain(queue: &Embedded, limit: usize) -> Vec<PostId> {
    let mut ids = Vec::new();
    while let Some(lease) = queue.lease(limit, Duration::from_secs(60)).await.unwrap() {
        ids.extend(lease.records.iter().map(|leased| leased.record.post_id().clone()));
        queue.ack(lease.id).await.unwrap();
    }
    ids
}

pub(crate) fn stored(answers: &[Appended]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count()
}
