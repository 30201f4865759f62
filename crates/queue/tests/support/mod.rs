//! Posts, deletions and a clock for the queue's tests.

use chrono::DateTime;
use domain::{
    Appended, Deletion, ManualClock, Post, PostId, PostQueue, Provenance, Record, SourceId, Timestamp,
};
use queue::{Config, Embedded};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

pub fn id(number: u64) -> PostId {
    PostId::new("x", &number.to_string()).unwrap()
}

pub fn post(number: u64) -> Record {
    edit(number, &[])
}

/// A post that replaces earlier ones.
pub fn edit(number: u64, replaces: &[u64]) -> Record {
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
        payload: format!("{{\"id\":\"{number}\"}}"),
    }))
}

pub fn deletion(number: u64) -> Record {
    Record::Deletion(Deletion { id: id(number), source: SourceId("test".into()), received_at: at(2) })
}

#[allow(dead_code, reason = "not every test file moves the clock")]
pub fn open(folder: &Path, config: Config, clock: &Arc<ManualClock>) -> Embedded {
    Embedded::open(folder.join("overheard.db"), config, Arc::clone(clock) as Arc<dyn domain::Clock>).unwrap()
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(at(0)))
}

/// Everything that waits, leased and acked in batches of `limit`.
#[allow(dead_code, reason = "not every test file drains")]
pub async fn drain(queue: &Embedded, limit: usize) -> Vec<PostId> {
    let mut ids = Vec::new();
    while let Some(lease) = queue.lease(limit, Duration::from_secs(60)).await.unwrap() {
        ids.extend(lease.records.iter().map(|leased| leased.record.post_id().clone()));
        queue.ack(lease.id).await.unwrap();
    }
    ids
}

#[allow(dead_code, reason = "not every test file counts")]
pub fn stored(answers: &[Appended]) -> usize {
    answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count()
}
