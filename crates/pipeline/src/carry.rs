//! Carries posts from the queue to the lake: lease, understand, commit, acknowledge. While one batch is committed the
//! next is understood and, where many wait, the one after it read from the queue; batches are committed in the order of
//! their offsets. A crash anywhere replays the lease, and the lake skips what it has.
//!
//! A lease is cut into batches of about as much text as is understood in the target time, and is extended while its
//! batches are worked on. A lake or a queue that can't be written for a while holds the stream up and loses nothing.

use crate::patience::{Next, Patience};
use crate::understand::{Understand, Understood};
use domain::{
    Clock, DeadLetter, EnrichedBatch, EnrichedPost, Error, ErrorKind, Health, Lease, Leased, Offset, PartitionId,
    PostId, PostTable, Record, Result, Timestamp, WorkQueue,
};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, warn, warn_span};

/// How posts are carried.
#[derive(Debug, Clone)]
pub struct CarryConfig {
    /// Most posts in a batch: bounds memory.
    pub batch_max: usize,
    /// How long a batch may take to understand: the batch size follows the measured speed.
    pub batch_target: Duration,
    /// Time between the beginnings of two batches that are not full: bounds the number of commits.
    pub batch_every: Duration,
    /// A lease that was neither acked nor extended for so long is lent again; it is extended at a third of this.
    pub lease: Duration,
    /// Longest wait between two tries of a commit that fails.
    pub retry_max: Duration,
}

impl Default for CarryConfig {
    fn default() -> Self {
        Self {
            batch_max: 5_000,
            batch_target: Duration::from_millis(1_500),
            batch_every: Duration::from_millis(700),
            lease: Duration::from_secs(300),
            retry_max: Duration::from_secs(30),
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
    pub queue: Arc<dyn WorkQueue>,
    pub understand: Arc<Understand>,
    pub lake: Arc<dyn PostTable>,
    pub clock: Arc<dyn Clock>,
    pub committed: broadcast::Sender<Committed>,
    /// Told while batches can't be committed.
    pub health: Arc<Health>,
}

/// Smallest batch that is worth a commit when the engine is slow.
const BATCH_MIN: usize = 64;
/// Text that the first batch aims at, and the least and the most that one does, in bytes. A slow machine understands 2 kB a
/// second; a batch holds at least one post whatever its length.
const TEXT_FIRST: usize = 64 << 10;
const TEXT_MIN: usize = 16 << 10;
const TEXT_MAX: usize = 32 << 20;
/// A lease with at most so many times that text stays whole.
const TEXT_SLACK: usize = 2;

/// How much is understood in the target time, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Size {
    posts: usize,
    text_bytes: usize,
}

/// Part of a lease, understood and committed at once.
struct Batch {
    lease: u64,
    partition: PartitionId,
    /// See [`EnrichedBatch::after_offset`].
    after_offset: Offset,
    records: Vec<Leased>,
    /// Its commit completes the lease.
    is_last: bool,
}

/// The leases that are out.
type Held = Arc<Mutex<BTreeSet<u64>>>;

/// The lease of a batch.
struct Loan {
    lease: u64,
    held: Held,
    /// The lease is done with this batch.
    is_last: bool,
}

/// What the stage has in hand.
struct Hand {
    size: Size,
    batches: VecDeque<Batch>,
    reached: HashMap<PartitionId, Reached>,
}

/// How far a partition has come.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// What the lake held when it was last asked, and the highest offset handed on since.
    covered: Option<Offset>,
    handed_on: Offset,
}

/// What the lake has of a batch.
enum Found {
    /// Everything up to this offset, as far as it was asked.
    UpTo(Option<Offset>),
    /// Less than the batch follows on.
    Gap,
}

impl Carry {
    /// Runs until shutdown, then finishes the batch in hand.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let service = Arc::new(self);
        let held = Held::default();
        let extending = tokio::spawn(service.clone().keep_leases(held.clone()));
        let outcome = service.clone().carry(&held, &shutdown).await;
        extending.abort();
        let left: Vec<u64> = held.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        for lease in left {
            if let Err(error) = service.queue.release(lease).await {
                warn!(lease, %error, "a lease could not be given back; it runs out");
            }
        }
        outcome
    }

    async fn carry(self: Arc<Self>, held: &Held, shutdown: &CancellationToken) -> Result<()> {
        let size = Size { posts: 256.min(self.config.batch_max), text_bytes: TEXT_FIRST };
        let mut hand = Hand { size, batches: VecDeque::new(), reached: HashMap::new() };
        let mut committing: Option<JoinHandle<Result<bool>>> = None;
        let mut due = Instant::now();
        while !shutdown.is_cancelled() {
            if hand.batches.is_empty() {
                let lease = self.next_lease(hand.size.posts, due, shutdown).await;
                hand.take(self.put_off(lease).await?, held);
            }
            let Some(batch) = hand.batches.pop_front() else {
                if !finish(committing.take()).await? {
                    return Ok(());
                }
                continue;
            };
            let Some(last_offset) = batch.records.last().map(|last| last.offset) else { continue };
            let first_offset = batch.records.first().map_or(last_offset, |first| first.offset);
            let span = warn_span!("batch", lease = batch.lease, first_offset, last_offset);
            let began = Instant::now();
            due = began + self.config.batch_every;
            let covered = match self.found(&batch, &mut hand).await? {
                Found::UpTo(covered) => covered,
                Found::Gap if self.refuse(batch.lease, &batch.partition, batch.after_offset, held).await? => {
                    hand.batches.retain(|other| other.lease != batch.lease);
                    continue;
                }
                Found::Gap => None,
            };
            let Batch { lease, partition, after_offset, records, is_last } = batch;
            let (records, deletions) = beyond(records, covered);
            let (count, text_bytes) = (records.len(), records.iter().map(text_bytes).sum());
            let is_short = hand.batches.is_empty();
            let (understood, next) = tokio::join!(
                self.understand(records).instrument(span.clone()),
                self.full_lease(hand.size.posts, is_short)
            );
            let mut understood = understood?;
            understood.deletions.extend(deletions);
            hand.size = self.next_size(hand.size, count, text_bytes, began.elapsed());
            hand.take(self.put_off(next).await?, held);
            // Committed before an earlier one, this batch would make the lake skip the earlier one's rows.
            if !finish(committing.take()).await? {
                return Ok(());
            }
            let batch = EnrichedBatch {
                partition,
                after_offset,
                last_offset,
                posts: Arc::new(understood.posts),
                deletions: understood.deletions,
            };
            let loan = Loan { lease, held: held.clone(), is_last };
            let (carrier, shutdown) = (self.clone(), shutdown.clone());
            committing = Some(tokio::spawn(
                async move { carrier.commit(loan, batch, understood.rejected, &shutdown).await }.instrument(span),
            ));
        }
        finish(committing.take()).await.map(drop)
    }

    /// Extends the leases that are out, for as long as it runs.
    async fn keep_leases(self: Arc<Self>, held: Held) {
        loop {
            tokio::time::sleep(self.config.lease / 3).await;
            let leases: Vec<u64> = held.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
            for lease in leases {
                // A lease that ran out all the same is found by its ack.
                if let Err(error) = self.queue.extend(lease, self.config.lease).await {
                    warn!(lease, %error, "a lease could not be extended");
                }
            }
        }
    }

    /// Up to which offset the lake has everything, where that can concern this batch: the first one of a partition, one
    /// that is lent again, and one that follows on what another worker was lent.
    async fn found(&self, batch: &Batch, hand: &mut Hand) -> Result<Found> {
        let (Some(first), Some(last)) = (batch.records.first(), batch.records.last()) else {
            return Ok(Found::UpTo(None));
        };
        let reached = hand.reached.entry(batch.partition.clone()).or_default();
        let is_next = reached.handed_on > 0 && first.offset > reached.handed_on;
        if !is_next || batch.after_offset > reached.handed_on {
            reached.covered = match self.lake.committed(&batch.partition).await {
                // The commit finds out what the lake has.
                Err(error) if error.kind() == ErrorKind::Retry => None,
                Ok(covered) if covered.unwrap_or(0) < batch.after_offset => return Ok(Found::Gap),
                covered => covered?,
            };
        }
        reached.handed_on = reached.handed_on.max(last.offset);
        Ok(Found::UpTo(reached.covered))
    }

    /// Gives a lease up whose batches can't be committed. False: the queue doesn't send what is missing again, so the
    /// lake is tried until it has that.
    async fn refuse(&self, lease: u64, partition: &PartitionId, after_offset: Offset, held: &Held) -> Result<bool> {
        match self.queue.refuse(lease).await {
            Ok(false) => return Ok(false),
            // Given up all the same: it runs out, is lent again and refused again.
            Err(error) if error.kind() == ErrorKind::Retry => warn!(lease, %error, "a lease could not be refused"),
            refused => drop(refused?),
        }
        warn!(lease, %partition, after_offset, "the lake lacks what lies before this lease; both are sent again");
        metrics::counter!("overheard_leases_refused_total").increment(1);
        held.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease);
        Ok(true)
    }

    /// A whole lease of that size, if there is one and it is wanted.
    async fn full_lease(&self, size: usize, is_wanted: bool) -> Result<Option<Lease>> {
        match is_wanted && self.queue.fills(size).await? {
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
        if !self.queue.fills(size).await? {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.queue.lease(size, self.config.lease).await
    }

    /// A queue that can't lend for now lends later.
    async fn put_off(&self, lease: Result<Option<Lease>>) -> Result<Option<Lease>> {
        match lease {
            Err(error) if error.kind() == ErrorKind::Retry => {
                self.health.failed("queue", &error, self.clock.now());
                warn!(%error, "the queue can't lend now, trying again");
                tokio::time::sleep(Duration::from_millis(250)).await;
                Ok(None)
            }
            Ok(lease) => {
                self.health.recovered("queue");
                Ok(lease)
            }
            lease => lease,
        }
    }

    async fn understand(&self, records: Vec<Leased>) -> Result<Understood> {
        let understand = self.understand.clone();
        let now = self.clock.now();
        let span = Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| understand.records(records, now)))
            .await
            .map_err(|error| Error::caused(ErrorKind::Stop, "the understanding stage failed", error))
    }

    /// The size that would have taken the target time, changed by at most a factor of two at once.
    fn next_size(&self, size: Size, posts: usize, text_bytes: usize, took: Duration) -> Size {
        if posts == 0 {
            return size;
        }
        let per_unit = self.config.batch_target.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let follow = |size: usize, done: usize| ((done as f64 * per_unit) as usize).clamp(size / 2, size * 2);
        let posts_max = self.config.batch_max;
        Size {
            posts: follow(size.posts, posts).clamp(BATCH_MIN.min(posts_max), posts_max),
            text_bytes: follow(size.text_bytes, text_bytes).clamp(TEXT_MIN, TEXT_MAX),
        }
    }

    /// Commits a batch and, where it completes its lease, acks it. Tries for as long as it takes; false: the shutdown
    /// came while the lake or the queue couldn't be written, and the batch is left to be lent again.
    async fn commit(
        &self,
        loan: Loan,
        batch: EnrichedBatch,
        rejected: Vec<DeadLetter>,
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        let (posts, deletions, rejects) = (batch.posts.len(), batch.deletions.len(), rejected.len());
        let mut patience = Patience::new(&self.health, &self.clock, self.config.retry_max, shutdown);
        loop {
            if rejects == 0 {
                break;
            }
            match patience.judge("queue", self.queue.dead_letter_accepted(rejected.clone()).await).await? {
                Next::Done(()) => break,
                Next::Again => {}
                Next::Stop => return Ok(false),
            }
        }
        loop {
            match patience.judge("lake", self.lake.commit(batch.clone()).await).await? {
                Next::Done(()) => break,
                Next::Again if self.is_too_early(&batch).await => {
                    if self.refuse(loan.lease, &batch.partition, batch.after_offset, &loan.held).await? {
                        self.health.recovered("lake");
                        return Ok(true);
                    }
                }
                Next::Again => {}
                Next::Stop => return Ok(false),
            }
        }
        metrics::counter!("overheard_committed_posts_total").increment(posts as u64);
        metrics::counter!("overheard_deleted_posts_total").increment(deletions as u64);
        metrics::counter!("overheard_rejected_posts_total").increment(rejects as u64);
        info!(posts, deletions, rejected = rejects, last_offset = batch.last_offset, "batch committed");
        let at = self.clock.now();
        let lag = metrics::histogram!("overheard_ingest_lag_seconds");
        batch.posts.iter().for_each(|post| lag.record((at - post.post.received_at).as_seconds_f64().max(0.0)));
        // Ignore send errors: there may be no subscribers.
        drop(self.committed.send(Committed { posts: batch.posts, at }));
        match loan.is_last {
            true => self.ack(loan.lease, &loan.held, &mut patience).await,
            false => Ok(true),
        }
    }

    /// Whether the lake lacks what lies before the batch.
    async fn is_too_early(&self, batch: &EnrichedBatch) -> bool {
        let committed = self.lake.committed(&batch.partition).await;
        committed.is_ok_and(|committed| committed.unwrap_or(0) < batch.after_offset)
    }

    async fn ack(&self, lease: u64, held: &Held, patience: &mut Patience<'_>) -> Result<bool> {
        loop {
            match patience.judge("queue", self.queue.ack(lease).await).await? {
                Next::Done(is_acked) => {
                    held.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease);
                    if !is_acked {
                        metrics::counter!("overheard_leases_lost_total").increment(1);
                        warn!(lease, "a lease ran out before its ack; its records are lent again, the lake has them");
                    }
                    return Ok(true);
                }
                Next::Again => {}
                Next::Stop => return Ok(false),
            }
        }
    }
}

impl Hand {
    /// Cuts a lease into batches where its texts are much longer than those before. A lease of usual texts stays whole:
    /// half of all leases are a little longer than expected, and the small batch that a cut leaves over costs a commit of
    /// its own and says little about how fast posts are understood.
    fn take(&mut self, lease: Option<Lease>, held: &Held) {
        let Some(Lease { id, partition, after_offset, records }) = lease else { return };
        held.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        let after = |after_offset| Batch {
            lease: id,
            partition: partition.clone(),
            after_offset,
            records: Vec::new(),
            is_last: false,
        };
        let mut batch = after(after_offset);
        let is_whole = records.iter().map(text_bytes).sum::<usize>() <= self.size.text_bytes * TEXT_SLACK;
        let mut bytes = 0;
        for leased in records {
            bytes += text_bytes(&leased);
            if !is_whole && bytes > self.size.text_bytes && !batch.records.is_empty() {
                bytes = text_bytes(&leased);
                let next = after(batch.records.last().map_or(after_offset, |last| last.offset));
                self.batches.push_back(std::mem::replace(&mut batch, next));
            }
            batch.records.push(leased);
        }
        batch.is_last = true;
        self.batches.push_back(batch);
    }
}

fn text_bytes(leased: &Leased) -> usize {
    match &leased.record {
        Record::Post(post) => post.text.len(),
        Record::Deletion(_) => 0,
    }
}

/// The records that the lake doesn't have, and what those that it has take away: a crash may have come between a
/// batch's rows and its deletions.
fn beyond(records: Vec<Leased>, covered: Option<Offset>) -> (Vec<Leased>, Vec<PostId>) {
    let covered = covered.unwrap_or(0);
    let (there, beyond): (Vec<Leased>, Vec<Leased>) = records.into_iter().partition(|leased| leased.offset <= covered);
    let mut deletions = Vec::new();
    for leased in there {
        match leased.record {
            Record::Deletion(deletion) => deletions.push(deletion.id),
            Record::Post(post) => deletions.extend(post.replaces.into_iter().filter(|id| *id != post.id)),
        }
    }
    (beyond, deletions)
}

/// Waits for the commit under way; its failure is the service's. False: it was given up at the shutdown.
async fn finish(committing: Option<JoinHandle<Result<bool>>>) -> Result<bool> {
    match committing {
        Some(handle) => {
            handle.await.map_err(|error| Error::caused(ErrorKind::Stop, "the commit stage failed", error))?
        }
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Post;

    /// The posts of each batch that a lease of texts of these lengths is cut into.
    fn cut(text_bytes: usize, lengths: &[usize]) -> Vec<usize> {
        let size = Size { posts: lengths.len(), text_bytes };
        let mut hand = Hand { size, batches: VecDeque::new(), reached: HashMap::new() };
        let leased = |(offset, length): (u64, &usize)| {
            let id = PostId::new("push", &offset.to_string()).unwrap();
            let post = Post::of_text(id, "x".repeat(*length), Timestamp::default());
            Leased { offset, record: Record::Post(Box::new(post)) }
        };
        let records = (1..).zip(lengths).map(leased).collect();
        hand.take(Some(Lease { id: 1, partition: "posts".into(), after_offset: 0, records }), &Held::default());
        let ends = hand.batches.iter().map(|batch| batch.records.last().unwrap().offset);
        let follows = hand.batches.iter().map(|batch| batch.after_offset);
        assert!(follows.eq(std::iter::once(0).chain(ends).take(hand.batches.len())), "each follows on the one before");
        hand.batches.iter().map(|batch| batch.records.len()).collect()
    }

    #[test]
    fn a_lease_is_cut_only_where_its_texts_are_much_longer_than_expected() {
        assert_eq!(cut(1_000, &[100; 10]), [10]);
        assert_eq!(cut(1_000, &[110; 10]), [10]);
        assert_eq!(cut(1_000, &[500; 4]), [4]);
        assert_eq!(cut(1_000, &[500; 5]), [2, 2, 1]);
        assert_eq!(cut(1_000, &[9_000; 2]), [1, 1]);
    }
}
