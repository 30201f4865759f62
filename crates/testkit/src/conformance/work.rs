//! The promises of [`WorkQueue`], the worker's side of the queue.

use crate::posts::{deletion, noon, post, record};
use domain::{DeadLetter, Lease, PartitionId, PostQueue, Record, WorkQueue};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both sides of one queue.
#[derive(Clone)]
pub struct Sides {
    pub listener: Arc<dyn PostQueue>,
    /// Two workers, as in two processes where the engine allows that.
    pub workers: [Arc<dyn WorkQueue>; 2],
    /// A lease that is neither acked nor extended is lent again after this time.
    pub lease: Duration,
}

/// Longer than any test, and short enough to be waited for.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(1_500);

/// Runs every promise against a fresh queue each, of as many partitions as the caller likes. `make` is told how long a
/// lease lasts.
pub async fn work(make: impl AsyncFn(Duration) -> Sides) {
    records_come_back_whole_and_in_order(make(LONG).await).await;
    an_edit_and_a_deletion_come_after_their_post(make(LONG).await).await;
    a_lease_is_exclusive_until_released(make(LONG).await).await;
    what_is_not_acked_in_time_is_lent_again(make(SHORT).await).await;
    a_lease_that_is_extended_stays_out(make(SHORT).await).await;
    asking_for_more_does_not_wait_for_a_lease(make(LONG).await).await;
    two_workers_lose_and_double_nothing(make(LONG).await).await;
    letters_of_workers_reach_the_listener(make(LONG).await).await;
    an_empty_queue_is_waited_for(make(LONG).await).await;
}

impl Sides {
    async fn append(&self, records: Vec<Record>) {
        self.listener.append(records).await.expect("append");
    }

    /// The next lease of a worker; waits for it.
    async fn lease(&self, worker: usize) -> Lease {
        let worker = &self.workers[worker];
        let next = async {
            loop {
                if let Some(lease) = worker.lease(1_000, self.lease).await.expect("lease") {
                    return lease;
                }
                worker.wait(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("something to lease")
    }

    /// Leases and acks until so many records came; gives them by partition.
    async fn take(&self, worker: usize, count: usize) -> BTreeMap<PartitionId, Vec<Record>> {
        let (mut taken, mut left) = (BTreeMap::<_, Vec<_>>::new(), count);
        while left > 0 {
            let lease = self.lease(worker).await;
            assert!(self.workers[worker].ack(lease.id).await.expect("ack"), "in time");
            left -= lease.records.len();
            taken.entry(lease.partition).or_default().extend(lease.records.into_iter().map(|leased| leased.record));
        }
        taken
    }
}

fn names(lease: &Lease) -> Vec<&str> {
    lease.records.iter().map(|leased| leased.record.post_id().native_id()).collect()
}

async fn records_come_back_whole_and_in_order(sides: Sides) {
    let mut whole = post("1", "Größe 東京 😡 \u{202b}עברית\u{202c} \"quoted\"\n'; DROP TABLE posts;--");
    whole.topics_hint = vec!["airlines".into()];
    whole.payload_format = Some("x-v2".into());
    whole.coordinates = domain::Coordinates::checked(52.5, 13.4);
    whole.repost_of = Some(post("9", "").id);
    let mut records = vec![Record::Post(Box::new(whole)), deletion("2")];
    records.extend((3..40).map(|number| record(&number.to_string())));
    sides.append(records.clone()).await;
    let (mut reached, mut back) = (HashMap::<PartitionId, u64>::new(), Vec::new());
    while back.len() < records.len() {
        let lease = sides.lease(0).await;
        let reached = reached.entry(lease.partition.clone()).or_default();
        assert!(lease.after_offset <= *reached, "follows on what was lent before");
        for leased in &lease.records {
            assert_eq!(leased.offset, *reached + 1, "offsets of a partition have no gaps");
            *reached = leased.offset;
        }
        back.extend(lease.records.iter().map(|leased| leased.record.clone()));
        assert!(sides.workers[0].ack(lease.id).await.expect("ack"));
    }
    if reached.len() == 1 {
        assert_eq!(back, records, "what comes out is what went in, in order");
    }
    assert!(records.iter().all(|record| back.contains(record)), "what comes out is what went in");
}

/// They lie in its partition, whatever their own ids are.
async fn an_edit_and_a_deletion_come_after_their_post(sides: Sides) {
    const POSTS: usize = 12;
    let edit = |name: String, replaces: &[String]| {
        let mut edit = post(&name, "again");
        edit.replaces = replaces.iter().map(|name| post(name, "").id).collect();
        Record::Post(Box::new(edit))
    };
    let mut records = Vec::new();
    for n in 0..POSTS {
        let (first, second, third) = (format!("{n}"), format!("{n}-edited"), format!("{n}-twice"));
        records.push(record(&first));
        records.push(edit(second.clone(), std::slice::from_ref(&first)));
        // One platform names all versions, another only the last.
        let versions = [first, second.clone()];
        records.push(edit(third.clone(), if n % 2 == 0 { &versions } else { &versions[1..] }));
        records.push(deletion(&third));
    }
    sides.append(records.clone()).await;
    let taken = sides.take(0, records.len()).await;
    for n in 0..POSTS {
        let name = |record: &&Record| record.post_id().native_id().split('-').next() == Some(n.to_string().as_str());
        let of_post: Vec<Vec<&Record>> = taken.values().map(|of| of.iter().filter(name).collect()).collect();
        let of_post: Vec<&Vec<&Record>> = of_post.iter().filter(|of| !of.is_empty()).collect();
        assert_eq!(of_post.len(), 1, "post {n} lies in one partition");
        assert!(of_post[0].iter().copied().eq(&records[n * 4..n * 4 + 4]), "post {n} is in order");
    }
}

async fn a_lease_is_exclusive_until_released(sides: Sides) {
    sides.append(vec![record("a")]).await;
    let held = sides.lease(0).await;
    for worker in &sides.workers {
        assert!(worker.lease(10, sides.lease).await.expect("lease").is_none(), "nothing is lent twice");
    }
    sides.workers[0].release(held.id).await.expect("release");
    let again = sides.lease(0).await;
    assert_eq!((&again.records, again.after_offset), (&held.records, held.after_offset), "lent again, the same");
    assert!(sides.workers[0].ack(again.id).await.expect("ack"));
    assert!(sides.workers[0].lease(10, sides.lease).await.expect("lease").is_none(), "what is acked is forgotten");
    sides.workers[0].release(again.id).await.ok();
    assert!(sides.workers[0].lease(10, sides.lease).await.expect("lease").is_none(), "a release brings nothing back");
}

async fn what_is_not_acked_in_time_is_lent_again(sides: Sides) {
    sides.append(vec![record("a"), record("b")]).await;
    let mut lent = BTreeSet::new();
    let mut first = Vec::new();
    while lent.len() < 2 {
        let lease = sides.lease(0).await;
        lent.extend(names(&lease).into_iter().map(str::to_owned));
        first.push(lease);
    }
    tokio::time::sleep(sides.lease + Duration::from_millis(100)).await;
    for lease in &first {
        assert!(!sides.workers[0].extend(lease.id, sides.lease).await.expect("extend"), "what ran out stays so");
    }
    // In the order of the partition; the worker may be the same one.
    let taken = sides.take(0, 2).await;
    let again: BTreeSet<_> = taken.values().flatten().map(|record| record.post_id().native_id().to_owned()).collect();
    assert_eq!(again, lent, "lent again once its time is over");
}

async fn a_lease_that_is_extended_stays_out(sides: Sides) {
    sides.append(vec![record("a")]).await;
    let held = sides.lease(0).await;
    for _ in 0..5 {
        tokio::time::sleep(sides.lease / 3).await;
        assert!(sides.workers[0].extend(held.id, sides.lease).await.expect("extend"));
    }
    assert!(sides.workers[1].lease(1, sides.lease).await.expect("lease").is_none(), "still out");
    assert!(sides.workers[0].ack(held.id).await.expect("ack"));
    assert!(!sides.workers[0].ack(held.id).await.expect("ack"), "an ack counts once");
}

/// A worker acks between two questions: one that waits for the end of a lease lets it run out, and so for ever.
async fn asking_for_more_does_not_wait_for_a_lease(sides: Sides) {
    sides.append(vec![record("a")]).await;
    let held = sides.lease(0).await;
    sides.append((0..30).map(|number| record(&number.to_string())).collect()).await;
    for turn in 0..20 {
        let worker = &sides.workers[turn % 2];
        let asked = tokio::time::timeout(sides.lease / 4, worker.lease(1, sides.lease)).await;
        if let Some(more) = asked.expect("an answer while a lease is out").expect("lease") {
            assert!(worker.ack(more.id).await.expect("ack"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sides.workers[0].ack(held.id).await.expect("ack"));
}

async fn two_workers_lose_and_double_nothing(sides: Sides) {
    const BATCHES: usize = 20;
    let counted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let work = (0..2).map(|worker| {
        let (sides, counted) = (sides.clone(), counted.clone());
        tokio::spawn(async move {
            loop {
                let Some(lease) = sides.workers[worker].lease(7, sides.lease).await.expect("lease") else {
                    sides.workers[worker].wait(Duration::from_millis(50)).await;
                    continue;
                };
                let ids = lease.records.iter().map(|leased| leased.record.post_id().clone());
                counted.lock().expect("counted").extend(ids);
                assert!(sides.workers[worker].ack(lease.id).await.expect("ack"));
            }
        })
    });
    let work: Vec<_> = work.collect();
    for batch in 0..BATCHES {
        sides.append((0..5).map(|n| record(&format!("{batch}-{n}"))).collect()).await;
    }
    let all = async {
        while counted.lock().expect("counted").len() < BATCHES * 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("all arrive");
    tokio::time::sleep(Duration::from_millis(100)).await;
    work.iter().for_each(tokio::task::JoinHandle::abort);
    let counted = counted.lock().expect("counted");
    let distinct: BTreeSet<_> = counted.iter().collect();
    assert_eq!((counted.len(), distinct.len()), (BATCHES * 5, BATCHES * 5), "each record is acked once");
}

async fn letters_of_workers_reach_the_listener(sides: Sides) {
    let letter = DeadLetter {
        id: 0,
        source: "x".into(),
        platform: "x".into(),
        reason: "the text can't be understood: größer".into(),
        payload: "{\"id\": 1, …".into(),
        payload_format: Some("simple".into()),
        provenance: Some(domain::Provenance::Stream),
        occurred_at: noon(),
    };
    for _ in 0..2 {
        sides.workers[0].dead_letter_accepted(vec![letter.clone()]).await.expect("dead letter");
    }
    let arrive = async {
        while sides.listener.depth().await.expect("depth").dead_letters == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrive).await.expect("the letter arrives");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let kept = sides.listener.dead_letters(10).await.expect("dead letters");
    assert_eq!(kept.len(), 1, "the same letter is kept once");
    assert_eq!(DeadLetter { id: 0, ..kept[0].clone() }, letter, "whole");
}

async fn an_empty_queue_is_waited_for(sides: Sides) {
    assert!(sides.workers[0].lease(10, sides.lease).await.expect("lease").is_none());
    sides.workers[0].wait(Duration::from_millis(1)).await;
    let waiting = tokio::spawn({
        let sides = sides.clone();
        async move { sides.lease(0).await }
    });
    tokio::task::yield_now().await;
    sides.append(vec![record("a")]).await;
    let lease = tokio::time::timeout(PATIENCE, waiting).await.expect("an append wakes the waiter").expect("no panic");
    assert_eq!(names(&lease), ["a"]);
}
