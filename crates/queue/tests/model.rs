//! The queue against a model of a few lines: any sequence of appends, leases, acks, releases, passing time and restarts
//! gives the same answers from both.

mod support;

use domain::{Appended, ManualClock, PostQueue, Record, WorkQueue};
use proptest::prelude::*;
use queue::{Config, Embedded};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, clock, deletion, edit, open};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Item>),
    Lease(usize),
    /// Acks the n-th lease ever given.
    Ack(usize),
    Release(usize),
    Pass(i64),
    /// Somebody sets the time of day: no lease may notice.
    SetClock(i64),
    Restart,
}

#[derive(Debug, Clone)]
enum Item {
    Post(u64, Vec<u64>),
    Deletion(u64),
}

impl Item {
    fn record(&self) -> Record {
        match self {
            Self::Post(number, replaces) => edit(*number, replaces),
            Self::Deletion(number) => deletion(*number),
        }
    }
}

const LEASE_S: i64 = 100;
const WAITING_MAX: u64 = 12;
const LEASES_MAX: usize = 3;

/// What the queue is, without a disk.
#[derive(Default)]
struct Model {
    records: BTreeMap<u64, Record>,
    last: u64,
    deleted: HashMap<u64, bool>,
    /// By number of the lease: its offsets and its end.
    out: BTreeMap<usize, (Vec<u64>, i64)>,
}

impl Model {
    fn append(&mut self, items: &[Item]) -> Option<Vec<Appended>> {
        if self.records.len() as u64 >= WAITING_MAX {
            return None;
        }
        Some(items.iter().map(|item| self.append_one(item)).collect())
    }

    fn append_one(&mut self, item: &Item) -> Appended {
        match item {
            Item::Deletion(number) => {
                if self.deleted.insert(*number, true) == Some(true) {
                    return Appended::Duplicate;
                }
            }
            Item::Post(number, replaces) => {
                match self.deleted.get(number) {
                    Some(true) => return Appended::Deleted,
                    Some(false) => return Appended::Duplicate,
                    None => {}
                }
                self.deleted.insert(*number, false);
                for earlier in replaces.iter().filter(|earlier| *earlier != number) {
                    self.deleted.insert(*earlier, true);
                }
            }
        }
        self.last += 1;
        self.records.insert(self.last, item.record());
        Appended::Stored(self.last)
    }

    /// The records of the lease, which is the n-th ever given: the first run that no other lease interrupts.
    fn lease(&mut self, nth: usize, limit: usize, now: i64) -> Option<Vec<(u64, Record)>> {
        self.out.retain(|_, (_, ends)| *ends > now);
        if self.out.len() >= LEASES_MAX {
            return None;
        }
        let is_out = |offset: &u64| self.out.values().any(|(offsets, _)| offsets.contains(offset));
        let free = self.records.iter().skip_while(|(offset, _)| is_out(offset));
        let run = free.take_while(|(offset, _)| !is_out(offset)).take(limit);
        let records: Vec<_> = run.map(|(offset, record)| (*offset, record.clone())).collect();
        if records.is_empty() {
            return None;
        }
        self.out.insert(nth, (records.iter().map(|(offset, _)| *offset).collect(), now + LEASE_S));
        Some(records)
    }

    fn ack(&mut self, nth: usize) -> bool {
        let Some((offsets, _)) = self.out.remove(&nth) else { return false };
        self.records.retain(|offset, _| !offsets.contains(offset));
        true
    }

    fn release(&mut self, nth: usize) -> bool {
        self.out.remove(&nth).is_some()
    }
}

async fn check(steps: Vec<Step>) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let mut model = Model::default();
    let mut queue = reopen(folder.path(), &clock);
    // Ids that the queue gave, by the order of the leases; a restart forgets them.
    let mut ids: Vec<Option<u64>> = Vec::new();
    let mut passed = 0;
    for step in steps {
        let now = passed;
        match step {
            Step::Append(items) => {
                let answers = queue.append(items.iter().map(Item::record).collect()).await.ok();
                assert_eq!(answers, model.append(&items));
            }
            Step::Lease(limit) => {
                let lease = queue.lease(limit, Duration::from_secs(LEASE_S as u64)).await.unwrap();
                let expected = model.lease(ids.len(), limit, now);
                let found =
                    lease.as_ref().map(|lease| lease.records.iter().map(|l| (l.offset, l.record.clone())).collect());
                assert_eq!(found, expected);
                ids.extend(lease.map(|lease| Some(lease.id)));
            }
            Step::Ack(nth) => {
                let Some(Some(id)) = ids.get(nth).copied() else { continue };
                assert_eq!(queue.ack(id).await.unwrap(), model.ack(nth));
            }
            Step::Release(nth) => {
                let Some(Some(id)) = ids.get(nth).copied() else { continue };
                queue.release(id).await.unwrap();
                model.release(nth);
            }
            Step::Pass(seconds) => {
                passed += seconds;
                clock.advance(Duration::from_secs(seconds as u64));
            }
            Step::SetClock(seconds) => clock.set(at(seconds)),
            Step::Restart => {
                drop(queue);
                queue = reopen(folder.path(), &clock);
                model.out.clear();
                ids.iter_mut().for_each(|id| *id = None);
            }
        }
        let depth = queue.depth().await.unwrap();
        assert_eq!(depth.waiting + depth.in_flight, model.records.len() as u64);
        assert_eq!(depth.appended, model.last);
    }
}

fn reopen(folder: &Path, clock: &Arc<ManualClock>) -> Embedded {
    open(folder, Config { waiting_max: WAITING_MAX, leases_max: LEASES_MAX, ..Config::default() }, clock)
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => (0..12_u64, prop::collection::vec(0..12_u64, 0..2)).prop_map(|(id, replaces)| Item::Post(id, replaces)),
        1 => (0..12_u64).prop_map(Item::Deletion),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(item(), 1..5).prop_map(Step::Append),
        4 => (1..4_usize).prop_map(Step::Lease),
        4 => (0..8_usize).prop_map(Step::Ack),
        1 => (0..8_usize).prop_map(Step::Release),
        1 => (1..LEASE_S).prop_map(Step::Pass),
        1 => (-100_000..100_000_i64).prop_map(Step::SetClock),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(steps));
    }
}
