//! Leases that a caller hands over: stored once however often they are brought, in order, and refused after a gap.

use domain::topic::TopicMatcher;
use domain::{Lease, Leased, ManualClock, Offset, PartitionId, PostQueue, PostTable, Record, WorkQueue};
use pipeline::{Carry, CarryConfig, Handed, Outcome, Understand};
use places::Gazetteer;
use std::sync::Arc;
use std::time::Duration;
use testkit::{FakeEnricher, MemoryLake, MemoryQueue, posts};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Function {
    handed: Arc<Handed>,
    lake: Arc<MemoryLake>,
    letters: Arc<MemoryQueue>,
    shutdown: CancellationToken,
    running: JoinHandle<domain::Result<()>>,
}

fn function() -> Function {
    let (lake, letters) = (Arc::new(MemoryLake::default()), Arc::new(MemoryQueue::default()));
    let (handed, shutdown) = (Arc::new(Handed::new(letters.clone())), CancellationToken::new());
    let matcher = TopicMatcher::new(Vec::new()).unwrap();
    let carry = Carry {
        config: CarryConfig { batch_every: Duration::ZERO, ..CarryConfig::default() },
        queue: handed.clone(),
        understand: Arc::new(Understand::new(Arc::new(FakeEnricher), Gazetteer::embedded().unwrap(), matcher)),
        lake: lake.clone(),
        clock: Arc::new(ManualClock::at(posts::noon())),
        committed: broadcast::channel(4).0,
        health: Arc::default(),
    };
    let running = tokio::spawn(carry.run(shutdown.clone()));
    Function { handed, lake, letters, shutdown, running }
}

/// Posts with these offsets.
fn lease(partition: &str, offsets: std::ops::RangeInclusive<Offset>) -> Lease {
    let after_offset = offsets.start() - 1;
    let records = offsets.map(|offset| {
        let words = if offset == 3 { "bad" } else { "en fine" };
        let post = posts::post(&format!("{partition}-{offset}"), words);
        Leased { offset, record: Record::Post(Box::new(post)) }
    });
    Lease { id: 0, partition: partition.into(), after_offset, records: records.collect() }
}

#[tokio::test]
async fn a_lease_is_stored_once_however_often_it_is_handed_over() {
    let function = function();
    let hand = |offsets| function.handed.hand(lease("a", offsets));
    let (first, second, other) = (hand(1..=2), hand(3..=4), function.handed.hand(lease("b", 1..=5)));
    assert_eq!((first.await, second.await, other.await), (Outcome::Stored, Outcome::Stored, Outcome::Stored));
    assert_eq!(hand(1..=2).await, Outcome::Stored, "an event that comes again");
    assert_eq!(hand(9..=9).await, Outcome::Refused, "5 to 8 are missing");
    assert_eq!(hand(5..=9).await, Outcome::Stored);
    assert_eq!(function.lake.committed(&PartitionId::from("a")).await.unwrap(), Some(9));
    assert_eq!(function.lake.posts().len(), 8 + 4, "all but the two that can't be understood");
    assert!(function.lake.written_twice().is_empty());
    assert_eq!(function.letters.dead_letters(10).await.unwrap().len(), 2);
    function.shutdown.cancel();
    function.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_who_gives_up_waiting_stops_nothing() {
    let function = function();
    drop(function.handed.hand(lease("a", 1..=2)));
    assert_eq!(function.handed.hand(lease("a", 3..=4)).await, Outcome::Stored);
    assert!(!function.handed.fills(1).await.unwrap());
    function.shutdown.cancel();
    function.running.await.unwrap().unwrap();
    assert_eq!(function.lake.posts().len(), 3);
}
