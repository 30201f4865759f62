//! A lease whose predecessor the lake lacks, which is only found when it is committed: it is given up, and the worker goes
//! on.

use async_trait::async_trait;
use domain::topic::TopicMatcher;
use domain::{
    Alert, Anomaly, DeadLetter, EnrichedBatch, EnrichedPost, Enricher, Enrichment, Error, Health, Lease, ManualClock,
    PartitionId, Post, PostQueue, PostTable, Record, Result, WorkQueue,
};
use pipeline::{Carry, CarryConfig, Understand};
use places::Gazetteer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use testkit::{MemoryLake, MemoryQueue, posts};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

struct Silent;

impl Enricher for Silent {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        posts.iter().map(|_| Ok(Enrichment::default())).collect()
    }

    fn model(&self) -> &str {
        "fake"
    }
}

/// A queue that says of its first lease that more lies before it, and sends that again once the lease is refused.
#[derive(Default)]
struct Early {
    queue: MemoryQueue,
    leases: AtomicU32,
    refused: AtomicU32,
}

#[async_trait]
impl WorkQueue for Early {
    async fn lease(&self, limit: usize, duration: Duration) -> Result<Option<Lease>> {
        let lease = self.queue.lease(limit, duration).await?;
        let is_first = lease.is_some() && self.leases.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(lease.map(|lease| if is_first { Lease { after_offset: 3, ..lease } } else { lease }))
    }

    async fn extend(&self, lease_id: u64, duration: Duration) -> Result<bool> {
        self.queue.extend(lease_id, duration).await
    }

    async fn ack(&self, lease_id: u64) -> Result<bool> {
        self.queue.ack(lease_id).await
    }

    async fn release(&self, lease_id: u64) -> Result<()> {
        self.queue.release(lease_id).await
    }

    async fn refuse(&self, lease_id: u64) -> Result<bool> {
        self.refused.fetch_add(1, Ordering::SeqCst);
        self.queue.release(lease_id).await.map(|()| true)
    }

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.queue.dead_letter_accepted(letters).await
    }

    async fn fills(&self, size: usize) -> Result<bool> {
        self.queue.fills(size).await
    }

    async fn wait(&self, timeout: Duration) {
        self.queue.wait(timeout).await;
    }
}

/// A lake that can't say the first time what it has.
#[derive(Default)]
struct Forgetful {
    lake: MemoryLake,
    asked: AtomicU32,
}

#[async_trait]
impl PostTable for Forgetful {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        self.lake.commit(batch).await
    }

    async fn committed(&self, partition: &PartitionId) -> Result<Option<u64>> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::retry("the log can't be read now")),
            _ => self.lake.committed(partition).await,
        }
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

#[tokio::test]
async fn a_batch_that_turns_out_too_early_is_given_up_at_its_commit() {
    let (queue, lake) = (Arc::<Early>::default(), Arc::<Forgetful>::default());
    queue
        .queue
        .append((0..5).map(|n| Record::Post(Box::new(posts::post(&n.to_string(), "calm")))).collect())
        .await
        .unwrap();
    let health = Arc::<Health>::default();
    let understand =
        Understand::new(Arc::new(Silent), Gazetteer::embedded().unwrap(), TopicMatcher::new(Vec::new()).unwrap());
    let carry = Carry {
        config: CarryConfig {
            batch_every: Duration::from_millis(1),
            retry_max: Duration::from_millis(1),
            ..CarryConfig::default()
        },
        queue: queue.clone(),
        understand: Arc::new(understand),
        lake: lake.clone(),
        clock: Arc::new(ManualClock::at(posts::noon())),
        committed: broadcast::channel(4).0,
        health: health.clone(),
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(carry.run(shutdown.clone()));
    for _ in 0..2_000 {
        if lake.lake.posts().len() == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!((lake.lake.posts().len(), queue.refused.load(Ordering::SeqCst)), (5, 1));
    assert!(lake.lake.written_twice().is_empty() && health.problems().is_empty());
}
