//! Maintenance services: the lake's files, the queue's known ids, free disk space, and the end of the process when the
//! queue fails.

use crate::clock::clock;
use domain::Health;
use lake::Lake;
use queue::Embedded;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const DISK_EVERY: Duration = Duration::from_secs(30);
const LAKE_EVERY: Duration = Duration::from_secs(300);
const COPIES_EVERY: Duration = Duration::from_secs(3_600);
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

/// Reports a data disk that is nearly full. `free_min`: bytes that should be free.
pub(crate) async fn disk(
    folder: PathBuf,
    free_min: u64,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    loop {
        match fs4::available_space(&folder) {
            Ok(free) => report_space(free, free_min, &folder, &health),
            Err(error) => warn!(%error, "the free space of the data disk can't be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(DISK_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

fn report_space(free: u64, free_min: u64, folder: &Path, health: &Health) {
    if free >= free_min {
        return health.recovered("disk");
    }
    let (free_mb, min_mb) = (free / 1_000_000, free_min / 1_000_000);
    let reason = format!(
        "{free_mb} MB are free in {}, less than free_space_min_mb = {min_mb}: delete files or shorten lake.retention_days",
        folder.display()
    );
    health.failed("disk", reason, clock().now());
}

/// Removes copies of a bucket's files that were replaced or deleted, once an hour.
pub(crate) async fn copies(lake: Arc<Lake>, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(COPIES_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        if let Err(error) = lake.tidy_copies().await {
            warn!(%error, "copies of the lake's files could not be removed; trying again later");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_a_problem_until_there_is_space() {
        let health = Health::default();
        report_space(199_000_000, 200_000_000, Path::new("/data"), &health);
        let problems = health.problems();
        assert!(problems[0].reason.starts_with("199 MB are free in /data"), "{problems:?}");
        report_space(200_000_000, 200_000_000, Path::new("/data"), &health);
        assert!(health.problems().is_empty());
    }
}
