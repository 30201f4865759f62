//! Stopping in the middle of work.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long work that has begun may go on after the order to stop. What is cut off is repeated at the next start:
/// cursors move only after the append.
const GRACE: Duration = Duration::from_millis(500);

/// Runs `work` to its end; after the order to stop, for a short time only. `None`: it was cut off.
pub(crate) async fn finish<T>(work: impl Future<Output = T>, shutdown: &CancellationToken) -> Option<T> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        () = shutdown.cancelled() => tokio::time::timeout(GRACE, work).await.ok(),
    }
}

/// Waits for an answer, but not beyond the order to stop. `None`: stopped.
pub(crate) async fn unless_stopped<T>(work: impl Future<Output = T>, shutdown: &CancellationToken) -> Option<T> {
    tokio::select! {
        () = shutdown.cancelled() => None,
        done = work => Some(done),
    }
}
