//! Maintenance services: the lake's files, the queue's known ids, and the end of the process when the queue fails.

use crate::clock::clock;
use domain::Health;
use lake::Lake;
use queue::Embedded;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LAKE_EVERY: Duration = Duration::from_secs(300);
const QUEUE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Ends, and with it the process, once the queue takes no more writes: a restart checks the file and goes on.
pub(crate) async fn end_on_queue_failure(
    queue: Arc<Embedded>,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    tokio::select! {
        reason = queue.failed() => {
            health.failed("queue", &reason, clock().now());
            Err(domain::Error::stop(format!("the queue takes no more writes: {reason}")))
        }
        () = shutdown.cancelled() => Ok(()),
    }
}

/// Forgets ids that are beyond the retention, at the start and once a day.
pub(crate) async fn queue(queue: Arc<Embedded>, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        match queue.maintain().await {
            Ok(0) => {}
            Ok(ids) => info!(ids, "ids of posts beyond the retention forgotten"),
            Err(error) => warn!(%error, "old ids could not be forgotten; trying again later"),
        }
        tokio::select! {
            () = tokio::time::sleep(QUEUE_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Compaction, retention and vacuum, every five minutes.
pub(crate) async fn lake(lake: Arc<Lake>, health: Arc<Health>, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LAKE_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        match lake.maintain(clock().now()).await {
            Ok(_) => health.recovered("lake upkeep"),
            Err(error) => {
                health.failed("lake upkeep", &error, clock().now());
                warn!(%error, "the lake could not be maintained; trying again later");
            }
        }
    }
}
