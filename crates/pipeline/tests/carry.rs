//! The way from queue to lake with fakes at both ends: everything arrives once, in whatever way batches fall; bad posts
//! and panics cost only themselves; deletions and edits take posts away.

use async_trait::async_trait;
use domain::topic::TopicMatcher;
use domain::{
    Alert, Anomaly, EnrichedBatch, EnrichedPost, Enricher, Enrichment, Error, ErrorKind, ManualClock, PartitionId,
    Post, PostQueue, PostTable, Record, Result, Topic,
};
use pipeline::{Carry, CarryConfig, Understand};
use places::Gazetteer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::{MemoryLake, MemoryQueue, posts};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Rejects texts that say `reject`, panics on those that say `panic`, has the house stopped at those that say `stop`.
struct Fake(CancellationToken);

impl Enricher for Fake {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        posts
            .iter()
            .map(|post| {
                assert!(!post.text.contains("panic"), "as asked");
                if post.text.contains("stop") {
                    self.0.cancel();
                }
                match post.text.contains("reject") {
                    true => Err(Error::reject("not a text")),
                    false => Ok(Enrichment::default()),
                }
            })
            .collect()
    }

    fn model(&self) -> &str {
        "fake"
    }
}

/// A lake whose first commits fail for a while.
struct Flaky {
    lake: MemoryLake,
    failures: AtomicU32,
}

#[async_trait]
impl PostTable for Flaky {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            // The first time the batch is written before the failure: an answer that got lost.
            if left == 1 {
                self.lake.commit(batch).await?;
            }
            return Err(Error::new(ErrorKind::Retry, "disk is away"));
        }
        self.lake.commit(batch).await
    }

    async fn committed(&self, partition: &PartitionId) -> Result<Option<u64>> {
        self.lake.committed(partition).await
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        self.lake.rewrite(posts).await
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        self.lake.put_anomalies(anomalies).await
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        self.lake.put_alerts(alerts).await
    }
}

/// Carries the records until nothing is left or one says stop; gives the lake and the queue.
async fn carried(records: Vec<Record>, failures: u32) -> (Arc<Flaky>, Arc<MemoryQueue>) {
    let shutdown = CancellationToken::new();
    let queue = Arc::new(MemoryQueue::default());
    let lake = Arc::new(Flaky { lake: MemoryLake::default(), failures: AtomicU32::new(failures) });
    let topic = Topic { name: "storms".into(), query: "storm".into(), created_at: posts::noon() };
    let understand = Understand::new(
        Arc::new(Fake(shutdown.clone())),
        Gazetteer::embedded().unwrap(),
        TopicMatcher::new(vec![topic]).unwrap(),
    );
    let (committed, _) = broadcast::channel(4);
    let carry = Carry {
        config: CarryConfig { batch_max: 7, batch_every: Duration::from_millis(1), ..CarryConfig::default() },
        queue: queue.clone(),
        understand: Arc::new(understand),
        lake: lake.clone(),
        clock: Arc::new(ManualClock::at(posts::noon())),
        committed,
        health: Arc::default(),
    };
    queue.append(records).await.unwrap();
    let running = tokio::spawn(carry.run(shutdown.clone()));
    while {
        let depth = queue.depth().await.unwrap();
        depth.waiting + depth.in_flight > 0 && !shutdown.is_cancelled()
    } {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    (lake, queue)
}

fn said(native_id: &str, text: &str) -> Record {
    Record::Post(Box::new(posts::post(native_id, text)))
}

#[tokio::test]
async fn every_post_arrives_once_with_its_topics() {
    let mut records: Vec<Record> = (0..100).map(|n| said(&n.to_string(), "calm")).collect();
    records.push(said("storm", "a storm is coming"));
    let (lake, _) = carried(records, 0).await;
    assert_eq!(lake.lake.posts().len(), 101);
    assert!(lake.lake.written_twice().is_empty());
    let storms: Vec<_> = lake.lake.posts().into_iter().filter(|post| post.topics == ["storms"]).collect();
    assert_eq!(storms.len(), 1);
}

#[tokio::test]
async fn a_bad_post_and_a_panic_cost_only_themselves() {
    let records = vec![said("1", "fine"), said("2", "please reject"), said("3", "panic now"), said("4", "fine too")];
    let (lake, queue) = carried(records, 0).await;
    assert_eq!(lake.lake.posts().len(), 2);
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.reason.starts_with("could not be understood")), "{letters:?}");
}

#[tokio::test]
async fn a_lake_that_is_away_holds_the_stream_up_and_a_lost_answer_doubles_nothing() {
    let records = (0..30).map(|n| said(&n.to_string(), "calm")).collect();
    let (lake, _) = carried(records, 2).await;
    assert_eq!(lake.lake.posts().len(), 30);
    assert!(lake.lake.written_twice().is_empty());
}

#[tokio::test]
async fn deletions_and_edits_take_posts_away() {
    let mut edited = posts::post("new", "the text, corrected");
    edited.replaces = vec![posts::post("old", "").id];
    let records = vec![
        said("gone", "soon deleted"),
        said("old", "the text"),
        said("stays", "here"),
        posts::deletion("gone"),
        Record::Post(Box::new(edited)),
    ];
    let (lake, _) = carried(records, 0).await;
    let ids: Vec<String> = lake.lake.posts().into_iter().map(|post| post.post.id.native_id().to_owned()).collect();
    assert_eq!(ids, ["new", "stays"]);
}

#[tokio::test]
async fn a_stop_finishes_the_batch_in_hand_and_gives_back_the_one_read_ahead() {
    let records = (0..30).map(|n| said(&n.to_string(), if n == 0 { "stop" } else { "calm" })).collect();
    let (lake, queue) = carried(records, 0).await;
    let depth = queue.depth().await.unwrap();
    assert_eq!((lake.lake.posts().len(), depth.waiting, depth.in_flight), (7, 23, 0));
}
