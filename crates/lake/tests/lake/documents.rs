//! The small documents in a bucket: the promises of their port, several processes, lost answers, snapshots.

use crate::place::{Fault, Place};
use domain::{ErrorKind, StateStore, Swap};
use lake::BucketDocuments;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn documents(place: &Place) -> BucketDocuments {
    BucketDocuments::new(&place.location(), Duration::ZERO).unwrap()
}

fn shared(place: &Place) -> Arc<dyn StateStore> {
    Arc::new(documents(place))
}

#[tokio::test]
async fn documents_in_a_bucket_keep_the_promises_of_their_port() {
    testkit::conformance::state(async || shared(&Place::bucket())).await;
    testkit::conformance::state(async || shared(&Place::faulty_bucket())).await;
}

#[tokio::test]
async fn of_processes_that_change_a_document_at_once_none_overwrites_another() {
    let place = Place::faulty_bucket();
    let first = documents(&place);
    first.put("counter", "n", json!(0)).await.unwrap();
    let process = async |store: BucketDocuments| {
        for _ in 0..20 {
            loop {
                let read = store.get("counter", "n").await.unwrap().unwrap();
                let next = json!(read.as_u64().unwrap() + 1);
                if store.swap(vec![Swap::new("counter", "n", Some(read), Some(next))]).await.unwrap() {
                    break;
                }
            }
        }
    };
    tokio::join!(process(documents(&place)), process(documents(&place)), process(documents(&place)));
    assert_eq!(first.get("counter", "n").await.unwrap(), Some(json!(60)));
}

#[tokio::test]
async fn an_answer_that_is_lost_changes_once_and_one_that_never_came_is_told() {
    let place = Place::bucket();
    let store = documents(&place);
    let faults = &place.store.as_ref().unwrap().next;
    faults.lock().unwrap().push_back(Fault::WrittenAndTimedOut);
    assert!(store.put_new("topic", "a", json!(1)).await.unwrap(), "it was written, which a look at it tells");
    faults.lock().unwrap().push_back(Fault::Unavailable);
    assert_eq!(store.put("topic", "a", json!(2)).await.unwrap_err().kind(), ErrorKind::Retry);
    assert_eq!(documents(&place).list("topic").await.unwrap(), [("a".to_owned(), json!(1))]);
}

#[tokio::test]
async fn a_start_reads_the_newest_snapshot_and_what_came_after_it() {
    let place = Place::bucket();
    let (writer, other) = (documents(&place), documents(&place));
    other.put("topic", "before", json!(0)).await.unwrap();
    for n in 0..430 {
        writer.put("cursor", &format!("{}", n % 50), json!(n)).await.unwrap();
    }
    assert!(writer.delete("topic", "before").await.unwrap());
    let store = place.store.as_ref().unwrap();
    store.take_requests();
    let fresh = documents(&place);
    let all = fresh.list("cursor").await.unwrap();
    assert_eq!((all.len(), fresh.get("topic", "before").await.unwrap()), (50, None));
    assert_eq!(all, other.list("cursor").await.unwrap(), "another process has caught up");
    let requests = documents_read(&place).await;
    assert!(requests < 60, "{requests} requests: the snapshot stands for four hundred changes");
}

#[tokio::test]
async fn documents_are_copied_into_an_empty_place_and_no_other() {
    let (from, to) = (documents(&Place::bucket()), documents(&Place::bucket()));
    for (kind, key) in [("topic", "a"), ("topic", "b"), ("user", "a")] {
        from.put(kind, key, json!(key)).await.unwrap();
    }
    let all = from.all().await.unwrap();
    assert!(to.fill(all.clone()).await.unwrap());
    assert!(to.fill(all.clone()).await.unwrap(), "the same again is no error");
    assert_eq!(to.all().await.unwrap(), all);
    to.delete("user", "a").await.unwrap();
    assert!(!to.fill(all).await.unwrap());
    assert_eq!(to.list("user").await.unwrap(), []);
}

/// Requests of one more process until it knows everything.
async fn documents_read(place: &Place) -> usize {
    let store = place.store.as_ref().unwrap();
    store.take_requests();
    documents(place).list("cursor").await.unwrap();
    store.take_requests().values().sum()
}
