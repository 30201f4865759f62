//! What a connector is: it says whether its platform would let us in, and brings posts until it is told to stop.

use crate::error::Result;
use crate::kit::status::SharedStatus;
use crate::record::{Format, Origin};
use async_trait::async_trait;
use domain::{Clock, PostQueue, Provenance, SourceId, StateStore, Topic};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
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

impl Context {
    /// Where records come from that are read now.
    pub(crate) fn origin(&self, platform: &str, provenance: Provenance) -> Origin {
        Origin { source: self.source.clone(), platform: platform.to_owned(), provenance, received_at: self.clock.now() }
    }
}
