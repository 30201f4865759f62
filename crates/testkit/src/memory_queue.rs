//! A queue in memory that keeps the promises of [`domain::PostQueue`] and [`domain::WorkQueue`], but forgets all when
//! dropped: for tests that need a queue and no disk. Time for leases and ages is the monotonic clock.

use async_trait::async_trait;
use domain::{
    Appended, DeadLetter, Error, Lease, Leased, Offset, PartitionId, PostId, PostQueue, QueueDepth, Record, Result,
    WorkQueue,
};
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
    partitions: u16,
}

/// A partition's index, and an offset in it.
type Key = (u16, Offset);

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<Key, Entry>,
    leases: HashMap<u64, Loan>,
    /// For each post ever appended: whether its deletion came.
    seen: HashMap<PostId, bool>,
    /// The partition of each post.
    placed: HashMap<PostId, u16>,
    last_offsets: HashMap<u16, Offset>,
    next_partition: u16,
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
    entries: BTreeMap<Key, Entry>,
    until: Instant,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::with_capacity(usize::MAX)
    }
}

impl MemoryQueue {
    /// The name of its first partition.
    pub const PARTITION: &'static str = "memory";

    /// A queue that is full at so many records not yet acked.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), capacity, partitions: 1 }
    }

    /// A queue of so many partitions.
    pub fn partitioned(partitions: u16) -> Self {
        Self { partitions, ..Self::default() }
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
        let all: BTreeMap<Key, &Entry> = state.waiting.iter().chain(lent).map(|(at, entry)| (*at, entry)).collect();
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

    /// The partition of a record: that of a version of its post that is known, else by the hash of its root id.
    fn place(&mut self, record: &Record, partitions: u16) -> u16 {
        let replaced: &[PostId] = match record {
            Record::Post(post) => &post.replaces,
            Record::Deletion(_) => &[],
        };
        let known = replaced.iter().chain([record.post_id()]).find_map(|id| self.placed.get(id).copied());
        let hash = record.root_id().as_str().bytes().fold(7_u64, |hash, byte| hash * 31 % 65_521 + u64::from(byte));
        let index = known.unwrap_or((hash % u64::from(partitions)) as u16);
        self.placed.insert(record.post_id().clone(), index);
        index
    }

    fn append(&mut self, record: Record, partitions: u16, now: Instant) -> Appended {
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
        let index = self.place(&record, partitions);
        let offset = self.last_offsets.entry(index).or_default();
        *offset += 1;
        self.waiting.insert((index, *offset), Entry { record, since: now });
        Appended::Stored(*offset)
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
            records.into_iter().map(|record| state.append(record, self.partitions, now)).collect()
        };
        self.arrived.notify_waiters();
        Ok(answers)
    }

    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        let state = self.state();
        Ok(ids.iter().map(|id| state.seen.contains_key(id)).collect())
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
            dead_letters_full: false,
            appended: state.appended,
            duplicates: state.duplicates,
            oldest_ms: oldest.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

#[async_trait]
impl WorkQueue for MemoryQueue {
    async fn lease(&self, limit: usize, duration: Duration) -> Result<Option<Lease>> {
        let mut state = self.state();
        let turn = (0..self.partitions).map(|step| (state.next_partition + step) % self.partitions);
        let filled = turn.into_iter().find(|index| state.waiting.range((*index, 0)..(*index + 1, 0)).next().is_some());
        let Some(index) = filled.filter(|_| limit > 0) else { return Ok(None) };
        state.next_partition = (index + 1) % self.partitions;
        let keys: Vec<Key> = state
            .waiting
            .range((index, 0)..)
            .take_while(|(key, _)| key.0 == index)
            .take(limit)
            .map(|(key, _)| *key)
            .collect();
        let mut entries = BTreeMap::new();
        for key in keys {
            if let Some(entry) = state.waiting.remove(&key) {
                entries.insert(key, entry);
            }
        }
        let first = entries.keys().next().copied().unwrap_or_default();
        let lent = state.leases.values().flat_map(|loan| loan.entries.keys());
        let before = lent.filter(|key| key.0 == index && **key < first).max();
        let after_offset = before.map_or(0, |key| key.1);
        let records =
            entries.iter().map(|(key, entry)| Leased { offset: key.1, record: entry.record.clone() }).collect();
        state.last_lease += 1;
        let id = state.last_lease;
        state.leases.insert(id, Loan { entries, until: Instant::now() + duration });
        Ok(Some(Lease { id, partition: PartitionId::new(Self::PARTITION, index), after_offset, records }))
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

    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.dead_letter(letters).await
    }

    async fn fills(&self, size: usize) -> Result<bool> {
        Ok(self.state().waiting.len() >= size)
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
