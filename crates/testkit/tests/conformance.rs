//! The fakes keep the promises of the ports that they stand for.

use domain::{MemoryState, PostQueue, StateStore};
use std::sync::Arc;
use testkit::{MemoryQueue, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_in_memory_keeps_the_promises() {
    conformance::queue(async || Arc::new(MemoryQueue::default()) as Arc<dyn PostQueue>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_in_memory_keeps_the_promises() {
    conformance::state(async || Arc::new(MemoryState::default()) as Arc<dyn StateStore>).await;
}

#[tokio::test]
async fn a_full_queue_asks_to_wait() {
    let queue = MemoryQueue::with_capacity(2);
    queue.append(vec![testkit::posts::record("a"), testkit::posts::record("b")]).await.unwrap();
    let error = queue.append(vec![testkit::posts::record("c")]).await.unwrap_err();
    assert_eq!(error.kind(), domain::ErrorKind::Retry);
}
