//! Deleting posts for good and replaying dead letters, for administrators.

use crate::config::Config;
use crate::forget::request::Request;
use crate::wiring;
use async_trait::async_trait;
use domain::{DeadLetter, Error, Forgotten, PostAdmin, Replayed, Result, ToForget};
use lake::Lake;
use queue::Embedded;
use std::sync::Arc;

/// Posts that one call may delete: it answers when they are gone.
const FORGET_MAX: usize = 20_000;

/// Stored posts and dead letters of the installation.
pub struct RunningPosts {
    pub config: Config,
    pub queue: Arc<Embedded>,
    pub lake: Arc<Lake>,
    /// This process may write to the lake.
    pub writes_lake: bool,
}

#[async_trait]
impl PostAdmin for RunningPosts {
    async fn forget(&self, what: ToForget) -> Result<Forgotten> {
        let ToForget { posts, author, platform, query, and_block, dry_run } = what;
        let request = Request { posts, author, platform, query, and_block };
        let found = request.find(&self.lake).await?;
        let mut forgotten = Forgotten {
            posts: found.posts.len(),
            reposts: found.reposts,
            first_ids: found.posts.iter().take(100).cloned().collect(),
            ..Forgotten::default()
        };
        if dry_run {
            return Ok(forgotten);
        }
        if found.posts.len() > FORGET_MAX {
            return Err(Error::reject(format!(
                "{} posts are too many for one call, which takes {FORGET_MAX}; use the command: overheard forget",
                found.posts.len()
            )));
        }
        let cleared = request.carry_out(&found, &self.queue, &self.lake, self.writes_lake, |_| {}).await?;
        (forgotten.deleted, forgotten.traces_later) = (true, cleared.is_none());
        let cleared = cleared.unwrap_or_default();
        (forgotten.anomalies, forgotten.alerts) = (cleared.anomalies, cleared.documents);
        (forgotten.dead_letters, forgotten.corrections) = (cleared.dead_letters, cleared.labels);
        Ok(forgotten)
    }

    async fn replay(&self, letter: &DeadLetter) -> Result<Replayed> {
        wiring::replay(&self.config, self.queue.as_ref()).letter(letter).await
    }
}
