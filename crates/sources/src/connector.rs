//! What a connector is: it says whether its platform would let us in, and brings posts until it is told to stop.

use crate::error::Result;
use crate::kit::status::{SharedStatus, State};
use crate::record::{Format, Origin};
use async_trait::async_trait;
use domain::{Clock, ErrorKind, PostQueue, Provenance, SourceId, StateStore, Topic};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A configured source.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Asks the platform whether it would let us in. Reads no posts and costs nothing.
    async fn check(&self, clock: &dyn Clock) -> Check;
    /// Brings posts until `shutdown`. Posts are appended to the queue before the cursor moves past them. Ends with an
    /// error only when the queue or the state fails; failures of the platform go to the status and are tried again.
    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()>;
}

/// Reads a secret from an environment variable or a file, whose names stand in the settings.
pub type Secrets<'a> = dyn Fn(&str, &str) -> Result<SecretString> + 'a;

/// The same, if one of the names is set.
pub(crate) fn optional_secret(secrets: &Secrets<'_>, env: &str, file: &str) -> Result<Option<SecretString>> {
    let is_set = !(env.is_empty() && file.is_empty());
    is_set.then(|| secrets(env, file)).transpose()
}

/// Settings of a kind of source, as they are configured. Unknown keys must be errors.
pub trait Settings: DeserializeOwned + JsonSchema {
    /// What people call it.
    const TITLE: &str;
    /// What it brings and what it needs, in a sentence or two.
    const ABOUT: &str;
    /// The platform charges for posts, or lets a source in once only: it is not read to show what it would bring.
    const IS_CHARGED: bool = false;
    /// The formats of the payloads that its posts have, or had in earlier versions.
    const FORMATS: &[Format];
    /// What types can't say, without secrets and without asking anybody.
    fn check(&self) -> Result<()>;
    /// Platforms whose posts the source brings.
    fn platforms(&self) -> Vec<String>;
    /// The connector.
    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>>;
}

/// Whether a platform lets us in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub ok: bool,
    /// What the platform said.
    pub summary: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// What a connector runs with.
#[derive(Clone)]
pub struct Context {
    /// Name of the source: part of its cursor's key and of every post.
    pub source: SourceId,
    pub queue: Arc<dyn PostQueue>,
    /// Where the cursor is kept.
    pub state: Arc<dyn StateStore>,
    pub clock: Arc<dyn Clock>,
    /// What to listen for, now and whenever it changes.
    pub topics: watch::Receiver<Vec<Topic>>,
    /// Read by others while the connector runs.
    pub status: SharedStatus,
}

/// Wait before a source is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Runs a source until `shutdown`. One that ends with an error of kind `Retry` is started again after a minute: another
/// process reads the same source, as for a while when one version replaces another.
pub async fn keep_running(
    connector: impl Fn() -> domain::Result<Box<dyn Connector>>,
    context: Context,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    run_again(connector, context, shutdown, AGAIN_AFTER).await
}

async fn run_again(
    connector: impl Fn() -> domain::Result<Box<dyn Connector>>,
    context: Context,
    shutdown: CancellationToken,
    again_after: Duration,
) -> domain::Result<()> {
    loop {
        match connector()?.run(context.clone(), shutdown.clone()).await {
            Err(error) if error.kind() == ErrorKind::Retry => {
                tracing::warn!(source.id = %context.source, %error, "source stopped; trying again");
                context.status.set_state(State::Waiting { seconds: again_after.as_secs_f64() });
                context.status.set_error(&error.to_string());
            }
            ended => return ended,
        }
        tokio::select! {
            () = tokio::time::sleep(again_after) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

impl Context {
    /// Where records come from that are read now.
    pub(crate) fn origin(&self, platform: &str, provenance: Provenance) -> Origin {
        Origin { source: self.source.clone(), platform: platform.to_owned(), provenance, received_at: self.clock.now() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Error, SystemClock};
    use state::MemoryState;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use testkit::MemoryQueue;

    /// A connector whose cursor another process moves, the first time.
    struct Disturbed(Arc<AtomicUsize>);

    #[async_trait]
    impl Connector for Disturbed {
        async fn check(&self, _: &dyn Clock) -> Check {
            Check { ok: true, summary: String::new(), advice: None }
        }

        async fn run(self: Box<Self>, _: Context, _: CancellationToken) -> domain::Result<()> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::retry("the cursor was moved by another process")),
                _ => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn a_source_that_another_process_disturbs_is_started_again() {
        let (runs, status) = (Arc::<AtomicUsize>::default(), SharedStatus::default());
        let context = Context {
            source: SourceId("tested".into()),
            queue: Arc::new(MemoryQueue::default()),
            state: Arc::new(MemoryState::default()),
            clock: Arc::new(SystemClock),
            topics: watch::channel(Vec::new()).1,
            status: status.clone(),
        };
        let connector = || Ok(Box::new(Disturbed(runs.clone())) as Box<dyn Connector>);
        run_again(connector, context, CancellationToken::new(), Duration::from_millis(1)).await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(status.get(SystemClock.now()).last_error.unwrap().contains("another process"));
    }
}
