//! What a lake in a bucket asks of the bucket: each request costs money and time.

use crate::place::Place;
use crate::support::{at, batch, counts, open};
use domain::PostTable;
use lake::Config;

#[tokio::test]
async fn a_commit_and_a_question_take_few_requests() {
    let place = Place::bucket();
    let store = place.store.as_ref().unwrap();
    let lake = open(&place, Config::default()).await;
    eprintln!("opening and making: {:?}", store.take_requests());
    lake.commit(batch(1..=10)).await.unwrap();
    store.take_requests();
    lake.commit(batch(11..=20)).await.unwrap();
    let commit = store.take_requests();
    eprintln!("commit: {commit:?}");
    assert_eq!(commit.get("put"), Some(&8), "a data file and a log entry for each of four tables");
    counts(&lake).await;
    eprintln!("questions: {:?}", store.take_requests());
    counts(&lake).await;
    let again = store.take_requests();
    eprintln!("again: {again:?}");
    assert_eq!(again.get("get"), None, "data files are read from the local copies");
    for nth in 2..12 {
        lake.commit(batch(nth * 10 + 1..=nth * 10 + 10)).await.unwrap();
    }
    store.take_requests();
    let done = lake.maintain(at(0)).await.unwrap();
    eprintln!("maintenance of {} files: {:?}", done.files_compacted, store.take_requests());
    drop(lake);
    let lake = open(&place, Config::default()).await;
    eprintln!("opening: {:?}", store.take_requests());
    counts(&lake).await;
    eprintln!("first questions: {:?}", store.take_requests());
}
