//! The way from queue to lake when something takes long: an engine that is slower than the lease, a lake or a queue that
//! can't be written, a stop meanwhile, long texts, and rows that the lake has already.

use async_trait::async_trait;
use domain::topic::TopicMatcher;
use domain::{
    Alert, Anomaly, EnrichedBatch, EnrichedPost, Enricher, Enrichment, Error, Health, ManualClock, PartitionId, Post,
    PostQueue, PostTable, Record, Result,
};
use pipeline::{Carry, CarryConfig, Understand};
use places::Gazetteer;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{MemoryLake, MemoryQueue, posts};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Notes the bytes of the texts of each call, and takes its time.
#[derive(Default)]
struct Engine {
    pause: Duration,
    calls: Mutex<Vec<Vec<usize>>>,
}

impl Engine {
    fn texts(&self) -> usize {
        self.calls.lock().unwrap().iter().map(Vec::len).sum()
    }
}

impl Enricher for Engine {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        self.calls.lock().unwrap().push(posts.iter().map(|post| post.text.len()).collect());
        std::thread::sleep(self.pause);
        posts.iter().map(|_| Ok(Enrichment::default())).collect()
    }

    fn model(&self) -> &str {
        "fake"
    }
}

/// A lake whose next commits fail.
#[derive(Default)]
struct Flaky {
    lake: MemoryLake,
    failures: AtomicU32,
    failed: AtomicU32,
}

#[async_trait]
impl PostTable for Flaky {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(Error::retry("no space left on device"));
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

/// Both ends, and the stage between them.
struct Way {
    queue: Arc<MemoryQueue>,
    lake: Arc<Flaky>,
    engine: Arc<Engine>,
    health: Arc<Health>,
    config: CarryConfig,
}

impl Way {
    fn new(pause: Duration) -> Self {
        let config = CarryConfig {
            batch_max: 7,
            batch_every: Duration::from_millis(1),
            retry_max: Duration::from_millis(1),
            ..CarryConfig::default()
        };
        let engine = Arc::new(Engine { pause, ..Engine::default() });
        Self { queue: Arc::default(), lake: Arc::default(), engine, health: Arc::default(), config }
    }

    async fn append(&self, count: usize, text: &str) {
        let records = (0..count).map(|n| Record::Post(Box::new(posts::post(&n.to_string(), text))));
        self.queue.append(records.collect()).await.unwrap();
    }

    fn start(&self, shutdown: &CancellationToken) -> tokio::task::JoinHandle<Result<()>> {
        let gazetteer = Gazetteer::embedded().unwrap();
        let understand = Understand::new(self.engine.clone(), gazetteer, TopicMatcher::new(Vec::new()).unwrap());
        let carry = Carry {
            config: self.config.clone(),
            queue: self.queue.clone(),
            understand: Arc::new(understand),
            lake: self.lake.clone(),
            clock: Arc::new(ManualClock::at(posts::noon())),
            committed: broadcast::channel(4).0,
            health: self.health.clone(),
        };
        tokio::spawn(carry.run(shutdown.clone()))
    }

    /// Carries until nothing is left.
    async fn carry_all(&self) {
        let shutdown = CancellationToken::new();
        let running = self.start(&shutdown);
        while self.left().await > 0 {
            assert!(!running.is_finished(), "the stage ended by itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }

    async fn left(&self) -> u64 {
        let depth = self.queue.depth().await.unwrap();
        depth.waiting + depth.in_flight
    }

    fn assert_all_arrived_once(&self, count: usize) {
        assert_eq!(self.lake.lake.posts().len(), count);
        assert!(self.lake.lake.written_twice().is_empty());
    }
}

#[tokio::test]
async fn an_engine_slower_than_the_lease_understands_each_post_once() {
    let mut way = Way::new(Duration::from_millis(1_800));
    way.config.lease = Duration::from_millis(600);
    way.append(3, "slow").await;
    way.carry_all().await;
    way.assert_all_arrived_once(3);
    assert_eq!(way.engine.texts(), 3, "a lease that ran out would have been understood again");
}

#[tokio::test]
async fn a_lake_that_fails_for_long_loses_nothing_and_is_told_of() {
    let way = Way::new(Duration::ZERO);
    way.lake.failures.store(2_000, Ordering::SeqCst);
    way.append(30, "calm").await;
    let shutdown = CancellationToken::new();
    let running = way.start(&shutdown);
    while way.lake.failed.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(way.health.problems()[0].component, "lake");
    assert!(!running.is_finished());
    way.lake.failures.store(5, Ordering::SeqCst);
    while way.left().await > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(way.health.problems().is_empty(), "it works again");
    shutdown.cancel();
    running.await.unwrap().unwrap();
    way.assert_all_arrived_once(30);
}

#[tokio::test]
async fn a_stop_while_the_lake_fails_ends_in_order_and_everything_is_lent_again() {
    let mut way = Way::new(Duration::ZERO);
    way.config.retry_max = Duration::from_secs(3_600);
    way.lake.failures.store(1, Ordering::SeqCst);
    way.append(30, "calm").await;
    let shutdown = CancellationToken::new();
    let running = way.start(&shutdown);
    while way.lake.failed.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The first batch waits for its next try. The second must not be committed before it: the lake would skip the first.
    shutdown.cancel();
    running.await.unwrap().unwrap();
    let depth = way.queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.in_flight), (30, 0));
    assert_eq!(way.lake.lake.posts().len(), 0);
    way.carry_all().await;
    way.assert_all_arrived_once(30);
}

#[tokio::test]
async fn long_texts_make_small_batches() {
    let mut way = Way::new(Duration::ZERO);
    way.config.batch_max = 5_000;
    way.append(40, &"long ".repeat(9_200)).await;
    way.carry_all().await;
    way.assert_all_arrived_once(40);
    let calls = way.engine.calls.lock().unwrap();
    assert!(calls[0].iter().sum::<usize>() <= 64 << 10, "{:?}", calls[0].len());
    assert!(way.lake.lake.commits() > 2, "what is understood is committed before the rest is");
}

#[tokio::test]
async fn rows_that_the_lake_has_are_not_understood_again() {
    let way = Way::new(Duration::ZERO);
    way.append(10, "calm").await;
    let there = (0..6).map(|n| EnrichedPost {
        offset: n + 1,
        post: posts::post(&n.to_string(), "calm"),
        enrichment: Enrichment::default(),
        topics: Vec::new(),
        place: None,
        author_place: None,
        enriched_at: posts::noon(),
    });
    let batch = EnrichedBatch {
        partition: MemoryQueue::PARTITION.into(),
        after_offset: 0,
        last_offset: 6,
        posts: Arc::new(there.collect()),
        deletions: Vec::new(),
    };
    way.lake.commit(batch).await.unwrap();
    way.carry_all().await;
    way.assert_all_arrived_once(10);
    assert_eq!(way.engine.texts(), 4);
}
