//! Writes the fixture that `tests/queue.rs` reads for ever: `cargo run -p queue --example queue_fixture -- v1.db`. Run once
//! per format of the file; a fixture that is committed is never written again.

use chrono::DateTime;
use domain::{
    Author, DeadLetter, Deletion, ManualClock, Post, PostId, PostQueue, Provenance, Record, SourceId, StateStore,
    WorkQueue,
};
use queue::{Config, Embedded};
use std::sync::Arc;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap_or_default();
    let source = SourceId("test".into());
    let queue = Embedded::open(&path, Config::default(), Arc::new(ManualClock::at(at(0))))?;
    let first = Post {
        id: PostId::new("x", "2")?,
        source: source.clone(),
        platform: "x".into(),
        text: "Der Zug kam spät 🚆".into(),
        author: Some(Author { username: Some("pendler".into()), followers: Some(12), ..Author::default() }),
        url: Some("https://x.com/pendler/status/2".into()),
        occurred_at: at(0),
        received_at: at(1),
        language_hint: Some("de".into()),
        coordinates: domain::Coordinates::checked(52.5, 13.4),
        place_name: Some("Berlin".into()),
        repost_of: None,
        replaces: vec![PostId::new("x", "1")?],
        reach: Some(12),
        provenance: Provenance::Stream,
        topics_hint: vec!["trains".into()],
        payload_format: None,
        payload: "{\"id\":\"2\"}".into(),
    };
    let acked = Post { id: PostId::new("x", "0")?, replaces: Vec::new(), ..first.clone() };
    queue.append(vec![Record::Post(Box::new(acked))]).await?;
    let lease = queue.lease(1, Duration::from_secs(60)).await?.ok_or("nothing to lease")?;
    queue.ack(lease.id).await?;
    let deletion = Record::Deletion(Deletion { id: PostId::new("x", "3")?, source, received_at: at(2) });
    queue.append(vec![Record::Post(Box::new(first)), deletion]).await?;
    let letter = DeadLetter {
        id: 0,
        source: "file:a.jsonl".into(),
        platform: "x".into(),
        reason: "no text".into(),
        payload: "{}".into(),
        payload_format: None,
        provenance: None,
        occurred_at: at(0),
    };
    queue.dead_letter(vec![letter]).await?;
    queue.put("topic", "trains", serde_json::json!({"query": "zug OR bahn"})).await?;
    Ok(())
}
