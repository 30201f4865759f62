//! Deleted posts whose copies (in alerts, notifications, anomalies, dead letters, corrections) are still to be cleared.

use crate::documents::{Documents, Stored};
use crate::kind::Kind;
use domain::{Result, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Posts whose copies are to be cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeletionNote {
    pub at: Timestamp,
    pub posts: BTreeSet<String>,
    /// Names under which their author is to be forgotten as well.
    #[serde(default)]
    pub authors: BTreeSet<String>,
    /// Copies are cleared twice: what was being written during the first time is there by the second.
    #[serde(default)]
    pub cleared_once: bool,
}

/// The deletions that are still to be carried out.
pub struct Deletions<'a>(Documents<'a, DeletionNote>);

impl<'a> Deletions<'a> {
    pub fn new(store: &'a dyn StateStore) -> Self {
        Self(Documents::new(store, Kind::Deletion))
    }

    /// Records a deletion, before it is carried out. The same key again changes nothing else.
    pub async fn note(&self, key: &str, deletion: &DeletionNote) -> Result<()> {
        self.0.put(key, deletion).await
    }

    /// All of them, by key. One that can't be read is left out with a warning.
    pub async fn list(&self) -> Result<Vec<Stored<DeletionNote>>> {
        self.0.list_readable().await
    }

    /// The copies were cleared: the first time the note stays, the second time it goes.
    pub async fn cleared(&self, deletion: Stored<DeletionNote>) -> Result<()> {
        match deletion.value.cleared_once {
            true => self.0.delete(&deletion.key).await.map(drop),
            false => self.0.put(&deletion.key, &DeletionNote { cleared_once: true, ..deletion.value }).await,
        }
    }
}
