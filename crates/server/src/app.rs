//! What every handler can reach.

use crate::answers::Answers;
use crate::auth::{Attempts, SignInLink};
use crate::config::Config;
use domain::{
    AlertDesk, Clock, EnrichedPost, FileImports, IdentityProvider, PostAdmin, PostQueue, PushIntake, SourceSettings,
    SqlRunner, StateStore, SystemInfo,
};
use state::{Accounts, AuditLog};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

/// One commit's posts, as they go to live streams.
pub type LivePosts = Arc<Vec<EnrichedPost>>;

/// The running installation as the server asks it.
#[derive(Clone)]
pub struct Ports {
    pub system: Arc<dyn SystemInfo>,
    pub push: Arc<dyn PushIntake>,
    pub alerts: Arc<dyn AlertDesk>,
    pub sql: Arc<dyn SqlRunner>,
    pub posts: Arc<dyn PostAdmin>,
    pub sources: Arc<dyn SourceSettings>,
    /// Besides passwords; none: people sign in with passwords only.
    pub identity: Option<Arc<dyn IdentityProvider>>,
    pub imports: Arc<dyn FileImports>,
}

pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) answers: Answers,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) accounts: Accounts,
    pub(crate) attempts: Attempts,
    /// The link that signs in, until it was used.
    pub(crate) sign_in_link: Mutex<Option<SignInLink>>,
    pub(crate) audit: AuditLog,
    pub(crate) queue: Arc<dyn PostQueue>,
    pub(crate) ports: Ports,
    pub(crate) live: broadcast::Sender<LivePosts>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Open live streams of each user.
    pub(crate) streams: Mutex<HashMap<String, usize>>,
    /// Bytes of request bodies that may still be taken in.
    pub(crate) bodies: Arc<Semaphore>,
    /// Sign-ins that may ask the identity provider at one time.
    pub(crate) sign_ons: Semaphore,
    /// Exports that may still begin.
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) shutdown: CancellationToken,
}
