//! The accounts over a store, and who is told of their changes.

use super::documents::{Account, Device, Session, Token};
use crate::documents::Documents;
use crate::kind::Kind;
use domain::{Result, StateStore, Swap};
use std::sync::Arc;
use tokio::sync::watch;

/// Users, sessions, devices and tokens.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn StateStore>,
    /// Told whenever someone may have lost a right: live streams look again who they serve.
    changed: watch::Sender<()>,
}

impl Accounts {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store, changed: watch::channel(()).0 }
    }

    /// Wakes when someone may have lost a right in this process.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn tell(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn user_documents(&self) -> Documents<'_, Account> {
        Documents::new(self.store.as_ref(), Kind::User)
    }

    pub(super) fn session_documents(&self) -> Documents<'_, Session> {
        Documents::new(self.store.as_ref(), Kind::Session)
    }

    pub(super) fn device_documents(&self) -> Documents<'_, Device> {
        Documents::new(self.store.as_ref(), Kind::Device)
    }

    pub(super) fn token_documents(&self) -> Documents<'_, Token> {
        Documents::new(self.store.as_ref(), Kind::Token)
    }

    pub(super) async fn swap(&self, changes: Vec<Swap>) -> Result<bool> {
        self.store.swap(changes).await
    }
}
