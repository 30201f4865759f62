//! Authors whose posts are refused.

use crate::documents::Documents;
use crate::kind::Kind;
use domain::{Author, Result, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A blocked author.
#[derive(Debug, Serialize, Deserialize)]
struct Blocked {
    author: String,
    /// None: on every platform.
    platform: Option<String>,
    since: Timestamp,
}

/// The blocked authors, by [`Author::key`].
pub struct BlockedAuthors<'a>(Documents<'a, Blocked>);

impl<'a> BlockedAuthors<'a> {
    pub fn new(store: &'a dyn StateStore) -> Self {
        Self(Documents::new(store, Kind::BlockedAuthor))
    }

    /// Refuses posts of the author from now on.
    pub async fn add(&self, author: &str, platform: Option<&str>, now: Timestamp) -> Result<()> {
        let author = Author::plain_name(author);
        let key = Author::key(platform, &author);
        self.0.put(&key, &Blocked { author, platform: platform.map(str::to_owned), since: now }).await
    }

    /// Accepts posts of the author again, by the key of [`Self::keys`]; says whether he was blocked.
    pub async fn remove(&self, key: &str) -> Result<bool> {
        self.0.delete(&Author::plain_name(key)).await
    }

    /// The keys of all blocked authors.
    pub async fn keys(&self) -> Result<HashSet<String>> {
        Ok(self.0.keys().await?.into_iter().collect())
    }
}
