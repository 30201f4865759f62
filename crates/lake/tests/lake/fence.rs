//! Exactly once, whatever happens on the way: batches that come twice, too early or cut in another way, workers that end
//! in the middle of a commit, and answers of the bucket that are wrong or lost.

use crate::place::{Fault, Place};
use crate::support::{enriched, id, one, open};
use domain::{EnrichedBatch, EnrichedPost, ErrorKind, PostTable};
use lake::{Config, Lake};
use proptest::prelude::*;
use std::sync::Arc;

/// Records of a partition.
const RECORDS: u64 = 12;

/// One delivery of a batch.
#[derive(Debug, Clone)]
struct Delivery {
    /// The batch covers the offsets after the first up to the second.
    covers: (u64, u64),
    /// What goes wrong with the log entries that its commit writes.
    faults: Vec<Fault>,
    /// Another process takes it.
    other_worker: bool,
}

fn deliveries() -> impl Strategy<Value = Vec<Delivery>> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::Conflict),
        1 => Just(Fault::WrittenAndRefused),
        1 => Just(Fault::WrittenAndUnreadable),
        2 => Just(Fault::Unavailable),
        2 => Just(Fault::WrittenAndTimedOut),
    ];
    let covers = (0..RECORDS, 1..=4_u64).prop_map(|(after, records)| (after, (after + records).min(RECORDS)));
    let delivery = (covers, proptest::collection::vec(fault, 0..5), any::<bool>());
    let delivery = delivery.prop_map(|(covers, faults, other_worker)| Delivery { covers, faults, other_worker });
    proptest::collection::vec(delivery, 0..10)
}

/// The records of a case, under ids of their own.
fn batch(case: u64, (after_offset, last_offset): (u64, u64)) -> EnrichedBatch {
    let posts = (after_offset + 1..=last_offset).map(|offset| {
        let mut post = EnrichedPost { offset, ..enriched(offset) };
        post.post.id = id(case * 1_000 + offset);
        post
    });
    EnrichedBatch {
        partition: format!("partition-{case}").as_str().into(),
        after_offset,
        last_offset,
        posts: Arc::new(posts.collect()),
        deletions: Vec::new(),
    }
}

/// The least offset that every table holds, and the highest that one does.
async fn held(lake: &Lake, case: u64) -> (u64, u64) {
    lake.transactions(&format!("partition-{case}")).await.unwrap().unwrap_or((0, 0))
}

async fn deliver(workers: &[Lake; 2], place: &Place, case: u64, delivery: &Delivery) {
    let faults = &place.store.as_ref().unwrap().next;
    faults.lock().unwrap().extend(&delivery.faults);
    let (after, last) = delivery.covers;
    let lake = &workers[usize::from(delivery.other_worker)];
    let before = held(lake, case).await;
    let outcome = lake.commit(batch(case, delivery.covers)).await;
    faults.lock().unwrap().clear();
    workers[0].tables_now().await.unwrap();
    workers[1].tables_now().await.unwrap();
    let now = held(lake, case).await;
    assert!(now.0 >= before.0 && now.1 >= before.1, "no table goes back: {before:?}, {now:?}");
    match outcome {
        Ok(()) => assert!(now.0 >= last, "what is acked is in every table"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Retry, "{error}"),
    }
    if after > now.1 {
        assert_eq!(now, before, "a batch that comes too early changes nothing");
    }
}

#[test]
fn every_interleaving_ends_with_each_post_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = Place::bucket();
    let workers =
        runtime.block_on(async { [open(&place, Config::default()).await, open(&place, Config::default()).await] });
    let case = std::sync::atomic::AtomicU64::new(0);
    let config =
        ProptestConfig { cases: 16, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(deliveries in deliveries())| {
        let case = case.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        runtime.block_on(async {
            for delivery in &deliveries {
                deliver(&workers, &place, case, delivery).await;
            }
            // The queue lends again what was not acked, in order.
            for after in (0..RECORDS).step_by(4) {
                let again = Delivery { covers: (after, after + 4), faults: Vec::new(), other_worker: after == 4 };
                deliver(&workers, &place, case, &again).await;
            }
            let (first, last) = (id(case * 1_000), id(case * 1_000 + 999));
            for (table, rows) in [("raw", 1), ("sentiment", 1), ("entities", 2), ("key_phrases", 1)] {
                let sql = format!("SELECT count(*) FROM {table} WHERE post_id BETWEEN '{first}' AND '{last}'");
                assert_eq!(one(&workers[0], &sql).await, rows * RECORDS, "{table}");
            }
        });
    });
}
