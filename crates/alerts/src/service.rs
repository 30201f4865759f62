//! Works the outbox until told to stop: each channel by a task of its own, so that a slow or dead one delays no other.

use crate::book::AlertBook;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::outbox::of_channel;
use chrono::{NaiveDate, TimeDelta};
use domain::{Clock, Health, Notifier, PostTable, Result, Timestamp};
use state::Stored;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How often what is no longer kept is deleted.
const SWEEP_EVERY: TimeDelta = TimeDelta::hours(6);
/// Name of this component in `Health`.
const COMPONENT: &str = "alert notifications";

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
#[derive(Clone)]
pub struct Service {
    config: Config,
    book: AlertBook,
    notifiers: Vec<Arc<dyn Notifier>>,
    clock: Arc<dyn Clock>,
    /// Where changed alerts are written for people to query; none: nowhere.
    table: Option<Arc<dyn PostTable>>,
    health: Arc<Health>,
    done: Arc<Mutex<Done>>,
}

/// What needs no second look.
#[derive(Default)]
struct Done {
    digest: Option<NaiveDate>,
    swept_at: Option<Timestamp>,
}

impl Service {
    pub fn new(
        config: Config,
        book: AlertBook,
        notifiers: Vec<Arc<dyn Notifier>>,
        clock: Arc<dyn Clock>,
        table: Option<Arc<dyn PostTable>>,
        health: Arc<Health>,
    ) -> Self {
        Self { config, book, notifiers, clock, table, health, done: Arc::default() }
    }

    /// Delivers what is due, again and again. Neither a channel nor the store stops it by failing. At the end deliveries
    /// under way are finished.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let service = Arc::new(self);
        let (mut channels, mut busy) = (JoinSet::new(), HashSet::new());
        while !shutdown.is_cancelled() {
            match service.start(&mut channels, &mut busy, &shutdown).await {
                Ok(()) => service.health.recovered(COMPONENT),
                Err(error) => {
                    service.health.failed(COMPONENT, &error, service.clock.now());
                    tracing::warn!(%error, "the outbox could not be looked at; trying again");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(service.config.poll) => {}
                Some(ended) = channels.join_next() => match ended {
                    Ok(channel) => drop(busy.remove(&channel)),
                    // A notifier panicked: which one is unknown, and claims keep the others from being disturbed.
                    Err(_) => busy.clear(),
                },
            }
        }
        while channels.join_next().await.is_some() {}
        Ok(())
    }

    /// Starts a task for each channel that has something due and no task yet.
    async fn start(
        self: &Arc<Self>,
        channels: &mut JoinSet<String>,
        busy: &mut HashSet<String>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let now = self.clock.now();
        self.do_daily(now).await?;
        for (channel, queue) in self.book.outbox().due(now).await? {
            if busy.insert(channel.clone()) {
                let (service, shutdown) = (self.clone(), shutdown.clone());
                channels.spawn(async move {
                    service.work_channel(&channel, queue, &shutdown).await;
                    channel
                });
            }
        }
        Ok(())
    }

    async fn work_channel(&self, channel: &str, queue: Vec<Stored<Entry>>, shutdown: &CancellationToken) {
        let notifier = of_channel(&self.notifiers, channel);
        let outbox = self.book.outbox();
        let settled = outbox.work_channel(queue, notifier, self.clock.as_ref(), shutdown).await;
        if settled.is_empty() {
            return;
        }
        let noted = self.book.note_settled(&settled, self.clock.now()).await;
        let written = match (noted, &self.table) {
            (Ok(_), Some(table)) => self.book.write(table.as_ref(), self.clock.now()).await,
            (noted, _) => noted.map(drop),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "deliveries are not noted on their alerts yet");
        }
    }

    /// The digest, and the deletion of what is no longer kept.
    async fn do_daily(&self, now: Timestamp) -> Result<()> {
        let mut done = self.done.lock().await;
        if let Some(digest) = &self.config.digest {
            let due = digest.due(now).map(|due| due.date_naive());
            if due.is_some() && due != done.digest {
                digest.queue_when_due(&self.book, now).await?;
                done.digest = due;
            }
        }
        if done.swept_at.is_none_or(|at| now - at >= SWEEP_EVERY) {
            self.book.sweep(now).await?;
            done.swept_at = Some(now);
        }
        Ok(())
    }
}
