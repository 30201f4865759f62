//! The connector of Bluesky against a Jetstream in small.

mod support;

use domain::{PostQueue, Record, StateStore};
use futures::future::BoxFuture;
use sources::bluesky::{Bluesky, BlueskyConfig};
use state::MemoryState;
use std::sync::Arc;
use std::time::Duration;
use support::{impatient, run, suite};
use testkit::MemoryQueue;
use testkit::bluesky_server::BlueskyServer;
use testkit::conformance::{StandIn, Start};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_suite() {
    let stand_in = || -> BoxFuture<'static, Box<dyn StandIn>> {
        Box::pin(async { Box::new(BlueskyServer::start(5).await.unwrap()) as Box<dyn StandIn> })
    };
    suite(stand_in, |start: Start| {
        let url = format!("{}/subscribe", start.url.replace("http://", "ws://"));
        let usual = BlueskyConfig::new(url.parse().unwrap(), None);
        let config = match start.is_patient {
            true => usual,
            false => BlueskyConfig { request_timeout: Duration::from_millis(500), backoff: impatient(), ..usual },
        };
        Box::pin(run(Box::new(Bluesky::new(config).unwrap()), start))
    })
    .await;
}

/// Runs the connector on a server, with messages of at most 64 kB, until `done`.
async fn until(server: &BlueskyServer, done: impl Fn(&MemoryQueue) -> bool) -> Arc<MemoryQueue> {
    let queue = Arc::new(MemoryQueue::default());
    let (url, shutdown) = (format!("ws://{}/subscribe", server.address()), CancellationToken::new());
    let usual = BlueskyConfig::new(url.parse().unwrap(), None);
    let config = BlueskyConfig { message_max_bytes: 64 << 10, backoff: impatient(), ..usual };
    let state = Arc::new(MemoryState::default());
    // From the first event on.
    state.put("cursor", "bluesky:tested", serde_json::json!({"time_us": 1})).await.unwrap();
    let start = Start { url, queue: queue.clone(), state, shutdown: shutdown.clone(), is_patient: false };
    let task = tokio::spawn(run(Box::new(Bluesky::new(config).unwrap()), start));
    let waiting = async {
        while !done(&queue) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    shutdown.cancel();
    task.await.unwrap().unwrap();
    queue
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_every_connection_is_passed_over() {
    let server = BlueskyServer::start(3).await.unwrap();
    server.add_long(1 << 20);
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.publish(3);
    let has = |queue: &MemoryQueue, number: &str| {
        queue.posts().iter().any(|post| post.id.native_id().ends_with(&format!("/{number}")))
    };
    let queue = until(&server, |queue| has(queue, "3")).await;
    assert!((0..3).all(|number| has(&queue, &number.to_string())), "what came before it is taken");
    let letters = queue.dead_letters(10).await.unwrap();
    assert!(letters.iter().all(|letter| letter.reason.contains("longer than 65536 bytes")) && !letters.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_no_topic_wants_deletes_what_was_kept() {
    let server = BlueskyServer::start(2).await.unwrap();
    server.edit_away(0);
    let queue =
        until(&server, |queue| queue.records().iter().any(|record| matches!(record, Record::Deletion(_)))).await;
    let deleted = |record: &Record| matches!(record, Record::Deletion(one) if one.id.native_id().ends_with("/0"));
    assert_eq!(queue.records().iter().filter(|record| deleted(record)).count(), 1);
}
