//! Carries posts from the listener's queue to a broker. The queue keeps them until the lake has them: what a broker loses
//! is sent again. What workers set aside comes back the same way and is kept with the other dead letters.

use crate::patience::{Next, Patience};
use domain::{Broker, Clock, ErrorKind, Health, Lease, Offset, PartitionId, PostTable, Result, WorkQueue};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Nobody else lends from this queue, so that a lease need not end.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How posts are forwarded.
#[derive(Debug, Clone)]
pub struct ForwardConfig {
    /// Most posts in a batch.
    pub batch_max: usize,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
    /// How often the lake is asked what it has.
    pub confirm_every: Duration,
    /// A batch that the lake still lacks after this time, while the broker holds nothing, is sent again.
    pub lost_after: Duration,
    /// Longest wait between two tries of a call that fails.
    pub retry_max: Duration,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        Self {
            batch_max: 1_000,
            linger: Duration::from_millis(250),
            confirm_every: Duration::from_secs(2),
            lost_after: Duration::from_secs(10),
            retry_max: Duration::from_secs(10),
        }
    }
}

/// The service.
pub struct Forward {
    pub config: ForwardConfig,
    /// The listener's queue.
    pub queue: Arc<dyn WorkQueue>,
    pub broker: Arc<dyn Broker>,
    pub lake: Arc<dyn PostTable>,
    pub clock: Arc<dyn Clock>,
    /// Told while the broker can't be reached.
    pub health: Arc<Health>,
}

/// A batch that the broker has and the lake may lack.
struct Sent {
    lease: u64,
    last_offset: Offset,
    at: Instant,
}

/// By partition, in the order of their offsets.
type Unconfirmed = BTreeMap<PartitionId, VecDeque<Sent>>;

impl Forward {
    /// Runs until shutdown. What was sent and is not confirmed then is sent again at the next start.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut unconfirmed = Unconfirmed::new();
        let mut confirm_at = Instant::now();
        while !shutdown.is_cancelled() {
            if confirm_at <= Instant::now() {
                confirm_at = Instant::now() + self.config.confirm_every;
                self.look_back(&mut unconfirmed).await?;
            }
            let pause = confirm_at.saturating_duration_since(Instant::now());
            let Some(lease) = self.next_lease(pause, &shutdown).await? else { continue };
            let Some(last_offset) = lease.records.last().map(|last| last.offset) else { continue };
            let (partition, sent) =
                (lease.partition.clone(), Sent { lease: lease.id, last_offset, at: Instant::now() });
            if !self.send(lease, &shutdown).await? {
                break;
            }
            unconfirmed.entry(partition).or_default().push_back(sent);
        }
        for sent in unconfirmed.into_values().flatten() {
            self.queue.release(sent.lease).await?;
        }
        Ok(())
    }

    /// What waits, a full batch at once, less after a while.
    async fn next_lease(&self, pause: Duration, shutdown: &CancellationToken) -> Result<Option<Lease>> {
        tokio::select! {
            () = self.queue.wait(pause) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
        if !self.queue.fills(self.config.batch_max).await? {
            tokio::time::sleep(self.config.linger).await;
        }
        match self.queue.lease(self.config.batch_max, FOREVER).await {
            Err(error) if error.kind() == ErrorKind::Retry => {
                warn!(%error, "the queue can't lend now, trying again");
                Ok(None)
            }
            lease => lease,
        }
    }

    /// Tries for as long as it takes. False: the shutdown came first.
    async fn send(&self, lease: Lease, shutdown: &CancellationToken) -> Result<bool> {
        let mut patience = Patience::new(&self.health, &self.clock, self.config.retry_max, shutdown);
        loop {
            match patience.judge("broker", self.broker.send(&lease).await).await? {
                Next::Done(()) => {
                    metrics::counter!("overheard_broker_sent_batches_total").increment(1);
                    metrics::counter!("overheard_broker_sent_records_total").increment(lease.records.len() as u64);
                    return Ok(true);
                }
                Next::Again => {}
                Next::Stop => {
                    self.queue.release(lease.id).await?;
                    return Ok(false);
                }
            }
        }
    }

    /// Forgets what the lake has, sends again what was lost, and takes the letters of workers. A failure is put off.
    async fn look_back(&self, unconfirmed: &mut Unconfirmed) -> Result<()> {
        let mut looked: Result<()> = Ok(());
        for (partition, sent) in unconfirmed.iter_mut() {
            looked = looked.and(self.confirm(partition, sent).await);
            let records = metrics::gauge!("overheard_broker_unconfirmed_batches", "partition" => partition.to_string());
            records.set(sent.len() as f64);
        }
        let looked = looked.and(self.take_letters().await);
        match looked {
            Err(error) if error.kind() == ErrorKind::Retry => {
                self.health.failed("broker", &error, self.clock.now());
                warn!(%error, "broker or lake can't be asked what became of the posts; trying again");
                Ok(())
            }
            Ok(()) => {
                self.health.recovered("broker");
                Ok(())
            }
            looked => looked,
        }
    }

    async fn confirm(&self, partition: &PartitionId, sent: &mut VecDeque<Sent>) -> Result<()> {
        if sent.is_empty() {
            return Ok(());
        }
        self.forget_stored(partition, sent).await?;
        let is_late = sent.front().is_some_and(|first| first.at.elapsed() > self.config.lost_after);
        if !is_late || self.broker.holds(partition).await? > 0 {
            return Ok(());
        }
        // A worker may have acked between the two questions.
        self.forget_stored(partition, sent).await?;
        if let Some(first) = sent.front() {
            let (batches, partition, last_offset) = (sent.len(), partition.as_str(), first.last_offset);
            warn!(batches, partition, last_offset, "the broker has lost posts; they are sent again");
            metrics::counter!("overheard_broker_resent_batches_total").increment(batches as u64);
        }
        for sent in sent.drain(..) {
            self.queue.release(sent.lease).await?;
        }
        Ok(())
    }

    async fn forget_stored(&self, partition: &PartitionId, sent: &mut VecDeque<Sent>) -> Result<()> {
        let stored = self.lake.committed(partition).await?.unwrap_or(0);
        while let Some(first) = sent.pop_front_if(|first| first.last_offset <= stored) {
            self.queue.ack(first.lease).await?;
        }
        Ok(())
    }

    async fn take_letters(&self) -> Result<()> {
        while let Some(sent) = self.broker.letters().await? {
            let count = sent.letters.len();
            self.queue.dead_letter_accepted(sent.letters).await?;
            self.broker.ack_letters(sent.id).await?;
            info!(letters = count, "dead letters of workers kept");
        }
        Ok(())
    }
}
