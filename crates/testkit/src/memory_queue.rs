//! A queue in memory that keeps the promises of [`domain::PostQueue`], but forgets all when dropped: for tests that need
//! a queue and no disk. Time for leases and ages is the monotonic clock.

use async_trait::async_trait;
use domain::{Appended, DeadLetter, Error, Lease, Leased, Offset, PostId, PostQueue, QueueDepth, Record, Result};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// See the module.
#[derive(Debug)]
pub struct MemoryQueue {
    state: Mutex<State>,
    arrived: Notify,
    /// Records not yet acked, at most; above it `append` answers `Retry`.
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<Offset, Entry>,
    leases: HashMap<u64, Loan>,
    /// For each post ever appended: whether its deletion came.
    seen: HashMap<PostId, bool>,
    appended: u64,
    duplicates: u64,
    last_lease: u64,
    letters: BTreeMap<u64, DeadLetter>,
    last_letter: u64,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    since: Instant,
}

#[derive(Debug)]
struct Loan {
    entries: BTreeMap<Offset, Entry>,
    until: Instant,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::with_capacity(usize::MAX)
    }
}

impl MemoryQueue {
    /// The name of its one partition.
    pub const PARTITION: &'static str = "memory";

    /// A queue that is full at so many records not yet acked.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), capacity }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.take_back(Instant::now());
        state
    }

    /// All records not yet acked, in order of offset, lent or not.
    pub fn records(&self) -> Vec<Record> {
        let state = self.state();
        let lent = state.leases.values().flat_map(|loan| &loan.entries);
        let all: BTreeMap<Offset, &Entry> = state.waiting.iter().chain(lent).map(|(at, entry)| (*at, entry)).collect();
        all.into_values().map(|entry| entry.record.clone()).collect()
    }

    /// The posts among [`Self::records`].
    pub fn posts(&self) -> Vec<domain::Post> {
        let posts = self.records().into_iter().filter_map(|record| match record {
            Record::Post(post) => Some(*post),
            Record::Deletion(_) => None,
        });
        posts.collect()
    }
}

impl State {
    /// Loans that ran out are there to lend again.
    fn take_back(&mut self, now: Instant) {
        let over: Vec<u64> = self.leases.iter().filter(|(_, loan)| loan.until <= now).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(loan) = self.leases.remove(&id) {
                self.waiting.extend(loan.entries);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.leases.values().map(|loan| loan.entries.len()).sum()
    }

    fn append(&mut self, record: Record, now: Instant) -> Appended {
        let deletion = matches!(record, Record::Deletion(_));
        match self.seen.get_mut(record.post_id()) {
            Some(true) if deletion => {
                self.duplicates += 1;
                return Appended::Duplicate;
            }
            Some(true) => return Appended::Deleted,
            Some(_) if !deletion => {
                self.duplicates += 1;
                return Appended::Duplicate;
            }
            Some(deleted) => *deleted = true,
            None => {
                self.seen.insert(record.post_id().clone(), deletion);
            }
        }
        self.appended += 1;
        self.waiting.insert(self.appended, Entry { record, since: now });
        Appended::Stored(self.appended)
    }
}

#[async_trait]
impl PostQueue for MemoryQueue {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>> {
        let answers = {
            let mut state = self.state();
            let new: HashSet<&PostId> =
                records.iter().map(Record::post_id).filter(|id| !state.seen.contains_key(*id)).collect();
            if state.waiting.len() + state.in_flight() + new.len() > self.capacity {
                return Err(Error::retry(format!("the queue holds its limit of {} records", self.capacity)));
            }
            let now = Instant::now();
            records.into_iter().map(|record| state.append(record, now)).collect()
        };
        self.arrived.notify_waiters();
        Ok(answers)
    }

    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.seen.contains_key(id)).collect())
    }

    async fn lease(&self, limit: usize, duration: Duration) -> Result<Option<Lease>> {
        let mut state = self.state();
        let offsets: Vec<Offset> = state.waiting.keys().take(limit).copied().collect();
        if offsets.is_empty() {
            return Ok(None);
        }
        let mut entries = BTreeMap::new();
        for offset in offsets {
            if let Some(entry) = state.waiting.remove(&offset) {
                entries.insert(offset, entry);
            }
        }
        let records = entries.iter().map(|(at, entry)| Leased { offset: *at, record: entry.record.clone() }).collect();
        state.last_lease += 1;
        let id = state.last_lease;
        state.leases.insert(id, Loan { entries, until: Instant::now() + duration });
        Ok(Some(Lease { id, partition: Self::PARTITION.into(), records }))
    }

    async fn extend(&self, lease_id: u64, duration: Duration) -> Result<bool> {
        let mut state = self.state();
        let found = state.leases.get_mut(&lease_id);
        Ok(found.map(|loan| loan.until = Instant::now() + duration).is_some())
    }

    async fn ack(&self, lease_id: u64) -> Result<bool> {
        Ok(self.state().leases.remove(&lease_id).is_some())
    }

    async fn release(&self, lease_id: u64) -> Result<()> {
        let mut state = self.state();
        if let Some(loan) = state.leases.remove(&lease_id) {
            state.waiting.extend(loan.entries);
        }
        drop(state);
        self.arrived.notify_waiters();
        Ok(())
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()> {
        let mut state = self.state();
        for mut letter in letters {
            let same = |kept: &DeadLetter| {
                (&kept.source, &kept.reason, &kept.payload) == (&letter.source, &letter.reason, &letter.payload)
            };
            if state.letters.values().any(same) {
                continue;
            }
            state.last_letter += 1;
            letter.id = state.last_letter;
            state.letters.insert(letter.id, letter);
        }
        Ok(())
    }

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.dead_letter(letters).await
    }

    async fn dead_letters_before(&self, before: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        Ok(self.state().letters.range(..before).rev().take(limit).map(|(_, letter)| letter.clone()).collect())
    }

    async fn find_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        Ok(self.state().letters.get(&id).cloned())
    }

    async fn remove_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        Ok(self.state().letters.remove(&id))
    }

    async fn depth(&self) -> Result<QueueDepth> {
        let state = self.state();
        let lent = state.leases.values().flat_map(|loan| loan.entries.values());
        let oldest = state.waiting.values().chain(lent).map(|entry| entry.since).min();
        Ok(QueueDepth {
            waiting: state.waiting.len() as u64,
            in_flight: state.in_flight() as u64,
            dead_letters: state.letters.len() as u64,
            appended: state.appended,
            duplicates: state.duplicates,
            oldest_ms: oldest.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
        })
    }

    async fn wait(&self, timeout: Duration) {
        let arrived = self.arrived.notified();
        tokio::pin!(arrived);
        // Registered before looking, so that an append in between is not missed.
        arrived.as_mut().enable();
        if self.state().waiting.is_empty() {
            let _woken = tokio::time::timeout(timeout, arrived).await;
        }
    }
}
