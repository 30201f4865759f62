//! Whatever a caller brings, it fails or works for him alone: after every call with extreme values the queue still takes
//! posts, documents and letters.

mod support;

use domain::{Appended, DeadLetter, PostQueue, StateStore, Swap, WorkQueue};
use proptest::prelude::*;
use queue::{Config, Embedded};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::{at, clock, deletion, open, post};

#[derive(Debug, Clone)]
enum Call {
    Append(usize),
    Lease(usize, Duration),
    Extend(u64, Duration),
    Ack(u64),
    Release(u64),
    Letters(usize, usize),
    Page(u64, usize),
    Find(u64),
    Remove(u64),
    Put(usize),
    Swap(usize),
    Delete(usize),
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(i64::MAX as u64),
        Just(i64::MAX as u64 + 1),
        Just(u64::MAX - 1),
        Just(u64::MAX),
        any::<u64>()
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        Just(Duration::from_secs(u64::MAX)),
        Just(Duration::from_secs(1))
    ]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), Just(1), Just(1 << 16), Just(1 << 20)]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0..3_usize).prop_map(Call::Append),
        (number(), duration()).prop_map(|(limit, time)| Call::Lease(limit as usize, time)),
        (number(), duration()).prop_map(|(id, time)| Call::Extend(id, time)),
        number().prop_map(Call::Ack),
        number().prop_map(Call::Release),
        (0..3_usize, size()).prop_map(|(count, size)| Call::Letters(count, size)),
        (number(), number()).prop_map(|(before, limit)| Call::Page(before, limit as usize)),
        number().prop_map(Call::Find),
        number().prop_map(Call::Remove),
        size().prop_map(Call::Put),
        (0..3_usize).prop_map(Call::Swap),
        size().prop_map(Call::Delete),
    ]
}

fn letter(size: usize) -> DeadLetter {
    DeadLetter {
        id: u64::MAX,
        source: "\0".repeat(size.min(9)),
        platform: String::new(),
        reason: "\u{202e}".into(),
        payload: "x".repeat(size),
        payload_format: None,
        provenance: None,
        occurred_at: at(0),
    }
}

/// The answer of a call doesn't matter; that the next ones work does.
async fn make(queue: &Embedded, call: Call) {
    match call {
        Call::Append(count) => drop(queue.append((0..count as u64).map(post).collect()).await),
        Call::Lease(limit, time) => drop(queue.lease(limit, time).await),
        Call::Extend(id, time) => drop(queue.extend(id, time).await),
        Call::Ack(id) => drop(queue.ack(id).await),
        Call::Release(id) => drop(queue.release(id).await),
        Call::Letters(count, size) => drop(queue.dead_letter(vec![letter(size); count]).await),
        Call::Page(before, limit) => drop(queue.dead_letters_before(before, limit).await),
        Call::Find(id) => drop(queue.find_dead_letter(id).await),
        Call::Remove(id) => drop(queue.remove_dead_letter(id).await),
        Call::Put(size) => drop(queue.put(&"k".repeat(size), "\0'\";--", json!("v".repeat(size))).await),
        Call::Swap(count) => {
            drop(queue.swap(vec![Swap::new("", "", None, Some(json!(null))); count]).await);
        }
        Call::Delete(size) => drop(queue.delete("", &"k".repeat(size)).await),
    }
}

async fn check(calls: Vec<Call>) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    for call in calls {
        make(&queue, call).await;
        queue.append(vec![deletion(999)]).await.unwrap();
        queue.put("kind", "key", json!(1)).await.unwrap();
    }
    assert!(matches!(queue.append(vec![post(1_000)]).await.unwrap()[..], [Appended::Stored(_)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_call_stops_the_queue(calls in prop::collection::vec(call(), 1..12)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(check(calls));
    }
}

#[tokio::test]
async fn a_letter_that_no_queue_can_have_is_not_there_and_stops_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let queue = Arc::new(open(folder.path(), Config::default(), &clock));
    let others: Vec<_> = (0..50)
        .map(|number| {
            let queue = queue.clone();
            tokio::spawn(async move {
                assert_eq!(queue.remove_dead_letter(u64::MAX - number).await.unwrap(), None);
                queue.append(vec![post(number)]).await.unwrap()
            })
        })
        .collect();
    for other in others {
        assert!(matches!(other.await.unwrap()[..], [Appended::Stored(_)]));
    }
}

#[tokio::test]
async fn a_wait_without_an_end_is_no_panic() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1)]).await.unwrap();
    queue.wait(Duration::MAX).await;
}
