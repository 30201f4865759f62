//! The fakes keep the promises of the ports that they stand for.

use domain::{ErrorKind, Notifier, PostQueue, WorkQueue};
use std::sync::Arc;
use testkit::conformance::{Receiver, Sides};
use testkit::{FakeEnricher, FakeGeocoder, FakeNotifier, FakeTranslator, MemoryLake, MemoryQueue, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_in_memory_keeps_the_promises() {
    conformance::queue(async || Arc::new(MemoryQueue::default()) as Arc<dyn PostQueue>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_in_memory_lends_as_promised() {
    for partitions in [1, 4] {
        conformance::work(async |lease| {
            let queue = Arc::new(MemoryQueue::partitioned(partitions));
            let workers = [queue.clone() as Arc<dyn WorkQueue>, queue.clone()];
            Sides { listener: queue, workers, lease }
        })
        .await;
    }
}

#[tokio::test]
async fn the_lake_in_memory_keeps_the_promises() {
    conformance::lake(async || MemoryLake::default()).await;
}

#[tokio::test]
async fn the_lake_in_memory_gives_posts_back_as_they_were_received() {
    conformance::raw_posts(async || MemoryLake::default()).await;
}

#[tokio::test]
async fn the_lake_in_memory_answers_the_questions_about_stored_posts() {
    conformance::history(async || Arc::new(MemoryLake::default())).await;
}

#[tokio::test]
async fn a_full_queue_asks_to_wait() {
    let queue = MemoryQueue::with_capacity(2);
    queue.append(vec![testkit::posts::record("a"), testkit::posts::record("b")]).await.unwrap();
    let error = queue.append(vec![testkit::posts::record("c")]).await.unwrap_err();
    assert_eq!(error.kind(), domain::ErrorKind::Retry);
}

#[test]
fn the_fakes_of_reading_keep_the_promises() {
    conformance::enricher(&FakeEnricher);
    conformance::translator(&FakeTranslator);
    conformance::geocoder(&FakeGeocoder);
}

#[tokio::test]
async fn the_fake_notifier_keeps_the_promises() {
    conformance::notifier(&Receiver::ALL, async |receiver| {
        let notifier = FakeNotifier::new("desk");
        notifier.fails(match receiver {
            Receiver::Takes => None,
            Receiver::Refuses => Some(ErrorKind::Reject),
            Receiver::Busy | Receiver::Gone => Some(ErrorKind::Retry),
        });
        Arc::new(notifier) as Arc<dyn Notifier>
    })
    .await;
}
