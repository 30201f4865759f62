//! Authors whose posts are refused from now on: one document each (kind `blocked_author`), its key the name in small
//! letters, with the platform where the block is for one.

use crate::clock::clock;
use domain::{Result, StateStore};
use pipeline::Understand;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const KIND: &str = "blocked_author";
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A name as it is compared: without `@`, in small letters.
pub fn plain(name: &str) -> String {
    name.trim().trim_start_matches('@').to_lowercase()
}

/// Refuses posts of the author from now on.
pub async fn add(state: &dyn StateStore, author: &str, platform: Option<&str>) -> Result<()> {
    let (author, now) = (plain(author), clock().now());
    let key = Understand::author_key(platform, &author);
    state.put(KIND, &key, json!({"author": author, "platform": platform, "since": now})).await
}

/// Takes the author's posts again, by the key of [`all`]; says whether he was blocked.
pub async fn remove(state: &dyn StateStore, key: &str) -> Result<bool> {
    state.delete(KIND, &plain(key)).await
}

/// The blocked authors: their keys.
pub async fn all(state: &dyn StateStore) -> Result<HashSet<String>> {
    Ok(state.list(KIND).await?.into_iter().map(|(key, _)| key).collect())
}

/// From now on posts of those authors are left out who are blocked.
pub async fn follow(
    state: Arc<dyn StateStore>,
    understand: Arc<Understand>,
    shutdown: CancellationToken,
) -> Result<()> {
    let mut known = HashSet::new();
    loop {
        match all(state.as_ref()).await {
            Ok(blocked) if blocked != known => {
                info!(authors = blocked.len(), "blocked authors taken over");
                understand.set_blocked(blocked.clone());
                known = blocked;
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "blocked authors can't be read; the former ones stay"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}
