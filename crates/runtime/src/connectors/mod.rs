//! The connectors of the configured sources and of those that people add while the program runs: started, stopped when
//! they change, and shown.

mod added;
mod kinds;
mod trial;
mod vault;

use crate::clock::clock;
use crate::config::{Config, SourceConfig};
use domain::{Backfills, Error, Result, SourceId, SourceStatus, Timestamp, Topic};
use queue::Embedded;
use sources::Connector;
use sources::kit::status::SharedStatus;
use sources::redact::{Redact, RedactedQueue};
use state::{SavedSource, SavedSources};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vault::Vault;

#[cfg(test)]
mod tests;

/// How often the sources that people add are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often secrets at AWS are read again.
const SECRETS_EVERY: Duration = Duration::from_secs(300);

/// The state of a source that another process reads.
const ANOTHER_PROCESS: &str = "another process";

/// All connectors of an installation.
pub struct Connectors {
    config: Config,
    queue: Arc<Embedded>,
    topics: watch::Sender<Vec<Topic>>,
    vault: Vault,
    backfills: Arc<Backfills>,
    /// The sources that run here, or should, by name.
    shown: Mutex<BTreeMap<String, Shown>>,
}

/// A source as people see it.
struct Shown {
    kind: String,
    how: How,
}

enum How {
    Runs(SharedStatus),
    Paused,
    /// It can't run as it is configured.
    Failed(String),
    /// It ran here and was removed since.
    Removed,
}

/// A connector that runs.
struct Running {
    /// As it was saved; `None`: it is configured.
    saved: Option<SavedSource>,
    /// Its secrets at AWS.
    secrets: Vec<String>,
    shutdown: CancellationToken,
    handle: JoinHandle<Result<()>>,
}

impl Connectors {
    pub(crate) fn new(config: &Config, queue: Arc<Embedded>, topics: watch::Sender<Vec<Topic>>) -> Arc<Self> {
        let (vault, backfills) = (Vault::new(config), Arc::default());
        Arc::new(Self { config: config.clone(), queue, topics, vault, backfills, shown: Mutex::default() })
    }

    /// Where sources report that they add posts of the past.
    pub fn backfills(&self) -> Arc<Backfills> {
        self.backfills.clone()
    }

    /// An error when a connector of the configuration can't be made.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.configured().try_for_each(|source| source.connector().map(drop))
    }

    fn configured(&self) -> impl Iterator<Item = &SourceConfig> {
        self.config.sources.connectors.iter().filter(|source| source.enabled)
    }

    /// Runs the configured connectors and follows what people add, change and remove, until `shutdown` or until one of
    /// them fails for good.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        let mut running = BTreeMap::new();
        for source in self.configured() {
            running.insert(source.name.clone(), self.start_configured(source).await);
        }
        let mut outcome = Ok(());
        let mut secrets_at = Instant::now() + SECRETS_EVERY;
        while outcome.is_ok() && !shutdown.is_cancelled() {
            match SavedSources::new(self.queue.as_ref()).list_readable().await {
                Ok(saved) => outcome = self.follow(saved, &mut running).await,
                Err(error) => tracing::warn!(%error, "added sources can't be read; the former ones stay"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => {}
            }
            if secrets_at <= Instant::now() {
                secrets_at = Instant::now() + SECRETS_EVERY;
                outcome = outcome.and(self.renew_secrets(&mut running).await);
            }
            if let Some(name) = running.iter().find(|(_, one)| one.handle.is_finished()).map(|(name, _)| name.clone()) {
                outcome = outcome.and(stop(&name, running.remove(&name)).await);
                outcome = outcome.and_then(|()| match shutdown.is_cancelled() {
                    true => Ok(()),
                    false => Err(Error::stop(format!("the source {name} ended by itself"))),
                });
            }
        }
        running.values().for_each(|one| one.shutdown.cancel());
        for (name, one) in running {
            outcome = outcome.and(stop(&name, Some(one)).await);
        }
        outcome
    }

    async fn start_configured(&self, source: &SourceConfig) -> Running {
        let settings = source.clone();
        let connector = move || settings.connector().map_err(|error| Error::stop(format!("{error:#}")));
        let secrets = secrets_of(source).await.unwrap_or_default();
        Running { secrets, ..self.start(&source.name, &source.kind, &source.redact, connector, None) }
    }

    /// Starts the configured sources again whose secrets at AWS have changed.
    async fn renew_secrets(&self, running: &mut BTreeMap<String, Running>) -> Result<()> {
        for source in self.configured() {
            let now = match secrets_of(source).await {
                Ok(now) => now,
                Err(error) => {
                    tracing::warn!(
                        source.id = source.name,
                        error = format!("{error:#}"),
                        "secrets can't be read again"
                    );
                    continue;
                }
            };
            if running.get(&source.name).is_some_and(|one| one.secrets != now) {
                tracing::info!(source.id = source.name, "a secret has changed: the source is started again");
                stop(&source.name, running.remove(&source.name)).await?;
                running.insert(source.name.clone(), self.start_configured(source).await);
            }
        }
        Ok(())
    }

    /// Stops what is no longer saved, and starts what is new. What changed is stopped and started.
    async fn follow(self: &Arc<Self>, saved: Vec<SavedSource>, running: &mut BTreeMap<String, Running>) -> Result<()> {
        let outdated: Vec<String> = running
            .iter()
            .filter(|(_, one)| one.saved.as_ref().is_some_and(|was| !saved.contains(was)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in outdated {
            tracing::info!(source.id = name, "source changed or removed: stopping it");
            stop(&name, running.remove(&name)).await?;
        }
        let is_configured = |name: &str| self.config.sources.connectors.iter().any(|source| source.name == name);
        for (name, shown) in self.shown().iter_mut() {
            if !is_configured(name) && saved.iter().all(|source| source.name != *name) {
                shown.how = How::Removed;
            }
        }
        for source in saved {
            if running.contains_key(&source.name) || is_configured(&source.name) {
                continue;
            }
            if !source.enabled {
                self.show(&source.name, &source.kind, How::Paused);
                continue;
            }
            match self.connector(&source) {
                Ok(_) => {
                    let (this, settings) = (self.clone(), source.clone());
                    let connector =
                        move || this.connector(&settings).map_err(|error| Error::stop(format!("{error:#}")));
                    let what = added::redacted(&source);
                    let started = self.start(&source.name, &source.kind, &what, connector, Some(source.clone()));
                    running.insert(source.name, started);
                }
                Err(error) => self.show(&source.name, &source.kind, How::Failed(format!("{error:#}"))),
            }
        }
        Ok(())
    }

    fn start(
        &self,
        name: &str,
        kind: &str,
        redact: &[Redact],
        connector: impl Fn() -> Result<Box<dyn Connector>> + Send + Sync + 'static,
        saved: Option<SavedSource>,
    ) -> Running {
        let context = sources::Context {
            source: SourceId(name.to_owned()),
            queue: RedactedQueue::before(self.queue.clone(), redact),
            state: self.queue.clone(),
            clock: clock(),
            topics: self.topics.subscribe(),
            status: SharedStatus::default(),
        };
        tracing::info!(source.id = name, kind, "source starts");
        self.show(name, kind, How::Runs(context.status.clone()));
        let shutdown = CancellationToken::new();
        let running = sources::keep_running(connector, context, shutdown.clone());
        Running { saved, secrets: Vec::new(), handle: tokio::spawn(running), shutdown }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, name: &str, kind: &str, how: How) {
        self.shown().insert(name.to_owned(), Shown { kind: kind.to_owned(), how });
    }

    /// How the sources of this process do.
    pub(crate) fn statuses(&self, now: Timestamp) -> Vec<SourceStatus> {
        self.shown().iter().filter_map(|(name, shown)| shown.status(name, now)).collect()
    }

    /// Whether a source ran here and was removed: posts of it may still be on their way.
    pub(crate) fn is_removed(&self, name: &str) -> bool {
        self.shown().get(name).is_some_and(|shown| matches!(shown.how, How::Removed))
    }

    /// The sources that another process reads.
    pub(crate) async fn elsewhere(&self) -> Vec<SourceStatus> {
        let status = |name: &str, kind: &str| SourceStatus {
            id: name.to_owned(),
            connector: kind.to_owned(),
            state: ANOTHER_PROCESS.into(),
            ..SourceStatus::default()
        };
        let mut all: Vec<SourceStatus> = self.configured().map(|source| status(&source.name, &source.kind)).collect();
        let saved = SavedSources::new(self.queue.as_ref()).list_readable().await.unwrap_or_default();
        all.extend(saved.iter().filter(|source| source.enabled).map(|source| status(&source.name, &source.kind)));
        all
    }
}

impl Shown {
    /// None: there is no such source any more.
    fn status(&self, name: &str, now: Timestamp) -> Option<SourceStatus> {
        let base = SourceStatus { id: name.to_owned(), connector: self.kind.clone(), ..SourceStatus::default() };
        let status = match &self.how {
            How::Removed => return None,
            How::Paused => SourceStatus { state: "paused".into(), ..base },
            How::Failed(reason) => SourceStatus { state: "failed".into(), last_error: Some(reason.clone()), ..base },
            How::Runs(status) => {
                let status = status.get(now);
                SourceStatus {
                    state: status.state.as_str().into(),
                    since: status.connected_since,
                    posts: status.posts_read,
                    posts_per_minute: status.posts_per_minute as f64,
                    last_post_at: status.last_post_at,
                    last_error: status.last_error,
                    cost_usd: status.cost_usd,
                    ..base
                }
            }
        };
        Some(status)
    }
}

/// The secrets at AWS that a source names, as they are now.
async fn secrets_of(source: &SourceConfig) -> anyhow::Result<Vec<String>> {
    let source = source.clone();
    tokio::task::spawn_blocking(move || source.remote_secrets()).await?
}

/// Stops a connector and waits for its end.
async fn stop(name: &str, running: Option<Running>) -> Result<()> {
    let Some(Running { shutdown, handle, .. }) = running else { return Ok(()) };
    shutdown.cancel();
    match handle.await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Error::stop(format!("the source {name} failed: {panic}"))),
    }
}
