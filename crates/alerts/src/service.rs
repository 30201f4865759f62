//! Works the outbox until told to stop.

use crate::book::AlertBook;
use crate::digest::Digest;
use domain::{Alert, Clock, Notifier, PostTable, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How the outbox is worked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest wait between two looks at the outbox.
    pub poll: Duration,
    pub digest: Option<Digest>,
}

impl Default for Config {
    fn default() -> Self {
        Self { poll: Duration::from_secs(5), digest: None }
    }
}

/// The running outbox.
pub struct Service {
    config: Config,
    book: AlertBook,
    notifiers: Vec<Arc<dyn Notifier>>,
    clock: Arc<dyn Clock>,
    /// Where changed alerts are written for people to query; none: nowhere.
    table: Option<Arc<dyn PostTable>>,
    wake: Arc<Notify>,
}

impl Service {
    pub fn new(
        config: Config,
        book: AlertBook,
        notifiers: Vec<Arc<dyn Notifier>>,
        clock: Arc<dyn Clock>,
        table: Option<Arc<dyn PostTable>>,
    ) -> Self {
        Self { config, book, notifiers, clock, table, wake: Arc::new(Notify::new()) }
    }

    /// Wakes the service at once (`notify_one` after something was queued).
    pub fn waker(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Delivers what is due, again and again. A store that fails for good stops it; a channel that fails never does.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        loop {
            self.round().await?;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.config.poll) => {}
            }
        }
    }

    /// One look at the outbox; gives back how many notifications were delivered.
    pub async fn round(&self) -> Result<usize> {
        let now = self.clock.now();
        if let Some(digest) = &self.config.digest {
            digest.queue_when_due(&self.book, now).await?;
        }
        let delivered = self.book.outbox().work(&self.notifiers, now).await?;
        let changed = self.book.note_delivered(&delivered, now).await?;
        self.write(changed).await;
        Ok(delivered.len())
    }

    /// The lake's copy is for reading; a failure there is not worth holding back a notification.
    async fn write(&self, changed: Vec<Alert>) {
        if let (Some(table), false) = (&self.table, changed.is_empty())
            && let Err(error) = table.put_alerts(changed).await
        {
            tracing::warn!(%error, "alerts could not be written to the lake");
        }
    }
}
