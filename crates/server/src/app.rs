//! What every handler can reach.

use crate::answers::Answers;
use crate::auth::{Accounts, Attempts};
use crate::config::Config;
use crate::operations::Operations;
use crate::service::LivePosts;
use domain::{Clock, PostQueue, StateStore};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) answers: Answers,
    pub(crate) state: Arc<dyn StateStore>,
    pub(crate) accounts: Accounts,
    pub(crate) attempts: Attempts,
    pub(crate) queue: Arc<dyn PostQueue>,
    pub(crate) operations: Arc<dyn Operations>,
    pub(crate) live: broadcast::Sender<LivePosts>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Open live streams.
    pub(crate) streams: AtomicUsize,
    pub(crate) shutdown: CancellationToken,
}
