//! The listener's end of the queue: a database of its own, and the service that forwards from it.

use domain::{Broker, PostTable, SystemClock};
use pipeline::{Forward, ForwardConfig};
use queue::{Config, Embedded};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A listener: its queue, and the service that forwards from it until it is dropped.
pub(crate) struct Listener {
    pub(crate) queue: Arc<Embedded>,
    _folder: TempDir,
    shutdown: CancellationToken,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Listener {
    pub(crate) fn start(
        broker: Arc<dyn Broker>,
        partitions: u16,
        lake: Arc<dyn PostTable>,
        lost_after: Duration,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { partitions, leases_max: usize::MAX, ..Config::default() };
        let queue = Embedded::open(folder.path().join("overheard.db"), config, Arc::new(SystemClock)).unwrap();
        let queue = Arc::new(queue);
        let forward = Forward {
            config: ForwardConfig {
                batch_max: 50,
                linger: Duration::from_millis(10),
                confirm_every: Duration::from_millis(50),
                lost_after,
                retry_max: Duration::from_millis(200),
            },
            queue: queue.clone(),
            broker,
            lake,
            clock: Arc::new(SystemClock),
            health: Arc::default(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(forward.run(shutdown.clone()));
        Self { queue, _folder: folder, shutdown }
    }
}
