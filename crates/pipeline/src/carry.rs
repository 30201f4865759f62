//! Carries posts from the queue to the lake: lease, understand, commit, acknowledge. While one batch is committed the
//! next is understood and, where many wait, the one after it read from the queue; batches are committed in the order of
//! their offsets. A crash anywhere replays the lease, and the lake skips what it has.

use crate::understand::{Understand, Understood};
use domain::{
    Clock, DeadLetter, EnrichedBatch, EnrichedPost, Error, ErrorKind, Health, Lease, Leased, PostQueue, PostTable,
    Result, Timestamp,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How posts are carried.
#[derive(Debug, Clone)]
pub struct CarryConfig {
    /// Most posts in a batch: bounds memory.
    pub batch_max: usize,
    /// How long a batch may take to understand: the batch size follows the measured speed.
    pub batch_target: Duration,
    /// Time between the beginnings of two batches that are not full: bounds the number of commits.
    pub batch_every: Duration,
    /// After this a lease that was not acked is lent again.
    pub lease: Duration,
}

impl Default for CarryConfig {
    fn default() -> Self {
        Self {
            batch_max: 5_000,
            batch_target: Duration::from_millis(1_500),
            batch_every: Duration::from_millis(700),
            lease: Duration::from_secs(300),
        }
    }
}

/// Told to whoever listens (live page, watch) after each commit.
#[derive(Debug, Clone)]
pub struct Committed {
    pub posts: Arc<Vec<EnrichedPost>>,
    /// When the batch became visible.
    pub at: Timestamp,
}

/// The service.
pub struct Carry {
    pub config: CarryConfig,
    pub queue: Arc<dyn PostQueue>,
    pub understand: Arc<Understand>,
    pub lake: Arc<dyn PostTable>,
    pub clock: Arc<dyn Clock>,
    pub committed: broadcast::Sender<Committed>,
    /// Told while batches can't be committed.
    pub health: Arc<Health>,
}

/// Smallest batch that is worth a commit when the engine is slow.
const BATCH_MIN: usize = 64;

impl Carry {
    /// Runs until shutdown, then finishes the batch in hand.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut size = 256.min(self.config.batch_max);
        let mut committing: Option<JoinHandle<Result<()>>> = None;
        let mut due = Instant::now();
        let mut ahead: Option<Lease> = None;
        let service = Arc::new(self);
        while !shutdown.is_cancelled() {
            let lease = match ahead.take() {
                Some(lease) => lease,
                None => match service.next_lease(size, due, &shutdown).await? {
                    Some(lease) => lease,
                    None => {
                        finish(committing.take()).await?;
                        continue;
                    }
                },
            };
            let (count, began) = (lease.records.len(), Instant::now());
            due = began + service.config.batch_every;
            let Some(last_offset) = lease.records.last().map(|last| last.offset) else { continue };
            let Lease { id, partition, records } = lease;
            let (understood, next) = tokio::join!(service.understand(records), service.full_lease(size));
            let understood = understood?;
            ahead = next?;
            size = service.next_size(size, count, began.elapsed());
            finish(committing.take()).await?;
            let batch = EnrichedBatch {
                partition,
                last_offset,
                posts: Arc::new(understood.posts),
                deletions: understood.deletions,
            };
            let carrier = service.clone();
            committing = Some(tokio::spawn(async move { carrier.commit(id, batch, understood.rejected).await }));
        }
        finish(committing.take()).await?;
        match ahead {
            Some(lease) => service.queue.release(lease.id).await,
            None => Ok(()),
        }
    }

    /// A whole batch of that size, if there is one.
    async fn full_lease(&self, size: usize) -> Result<Option<Lease>> {
        match self.queue.depth().await?.waiting as usize >= size {
            true => self.queue.lease(size, self.config.lease).await,
            false => Ok(None),
        }
    }

    /// What waits, when it fills a batch of that size or from `due` on.
    async fn next_lease(&self, size: usize, due: Instant, shutdown: &CancellationToken) -> Result<Option<Lease>> {
        // Returns early when there is something to lend; another process may lend instead, then it takes its time.
        tokio::select! {
            () = self.queue.wait(Duration::from_secs(1)) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
        let waiting = self.queue.depth().await?.waiting;
        if waiting == 0 {
            return Ok(None);
        }
        if (waiting as usize) < size {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.queue.lease(size, self.config.lease).await
    }

    async fn understand(&self, records: Vec<Leased>) -> Result<Understood> {
        let understand = self.understand.clone();
        let now = self.clock.now();
        tokio::task::spawn_blocking(move || understand.records(records, now))
            .await
            .map_err(|error| Error::caused(ErrorKind::Stop, "the understanding stage failed", error))
    }

    /// The size that would have taken the target time, changed by at most a factor of two at once.
    fn next_size(&self, size: usize, count: usize, took: Duration) -> usize {
        let per_second = count as f64 / took.as_secs_f64().max(1e-6);
        let fitting = (per_second * self.config.batch_target.as_secs_f64()) as usize;
        fitting.clamp(size / 2, size * 2).clamp(BATCH_MIN.min(self.config.batch_max), self.config.batch_max)
    }

    async fn commit(&self, lease: u64, batch: EnrichedBatch, rejected: Vec<DeadLetter>) -> Result<()> {
        let (posts, deletions, rejects) = (batch.posts.len(), batch.deletions.len(), rejected.len());
        if !rejected.is_empty() {
            self.queue.dead_letter(rejected).await?;
        }
        self.commit_patiently(&batch).await?;
        self.queue.ack(lease).await?;
        metrics::counter!("overheard_committed_posts_total").increment(posts as u64);
        metrics::counter!("overheard_deleted_posts_total").increment(deletions as u64);
        metrics::counter!("overheard_rejected_posts_total").increment(rejects as u64);
        info!(posts, deletions, rejected = rejects, last_offset = batch.last_offset, "batch committed");
        // Nobody listening is fine: the lake has the posts.
        drop(self.committed.send(Committed { posts: batch.posts, at: self.clock.now() }));
        Ok(())
    }

    /// A lake that can't be written for a while holds the stream up and loses nothing.
    async fn commit_patiently(&self, batch: &EnrichedBatch) -> Result<()> {
        let mut wait = Duration::from_millis(250);
        loop {
            match self.lake.commit(batch.clone()).await {
                Err(error) if error.kind() == ErrorKind::Retry && wait < self.config.lease / 4 => {
                    self.health.failed("lake", &error, self.clock.now());
                    warn!(%error, wait_ms = wait.as_millis() as u64, "lake commit failed, trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Ok(()) => {
                    self.health.recovered("lake");
                    return Ok(());
                }
                failed => return failed,
            }
        }
    }
}

/// Waits for the commit under way; its failure is the service's.
async fn finish(committing: Option<JoinHandle<Result<()>>>) -> Result<()> {
    match committing {
        Some(handle) => {
            handle.await.map_err(|error| Error::caused(ErrorKind::Stop, "the commit stage failed", error))?
        }
        None => Ok(()),
    }
}
