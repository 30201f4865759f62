//! Writes the rows of corrected posts anew, so that every count tells what people said.

use crate::reprocess::{Reprocess, Reprocessed};
use domain::{Clock, RawPosts, RawSelection, Result, StateStore};
use state::Labels;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often corrections are looked for: a person waits to see his correction in the counts.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Corrections written at once: one new file a day and table.
const POSTS_MAX: usize = 500;

/// The service that applies corrections.
pub struct Corrections {
    pub state: Arc<dyn StateStore>,
    pub lake: Arc<dyn RawPosts>,
    pub reprocess: Reprocess,
    pub clock: Arc<dyn Clock>,
}

impl Corrections {
    /// Applies corrections as they are made, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            if let Err(error) = self.apply().await {
                warn!(%error, "corrections are not in the lake yet; trying again");
            }
        }
        Ok(())
    }

    /// Applies the corrections that wait.
    pub async fn apply(&self) -> Result<()> {
        let labels = Labels::new(self.state.as_ref());
        let mut waiting = labels.waiting().await?;
        if waiting.is_empty() {
            return Ok(());
        }
        waiting.truncate(POSTS_MAX);
        let ids = waiting.iter().map(|(_, post_id)| post_id.clone()).collect();
        let stored = self.lake.raw_posts(&RawSelection::Ids(ids), "", POSTS_MAX).await?;
        let current = labels.current().await?;
        let Reprocessed { done, failed } =
            self.reprocess.rewrite(self.lake.as_ref(), &current, &stored, self.clock.now()).await?;
        if failed > 0 {
            warn!(posts = failed, "corrected posts can't be read any more; their rows stay as they are");
        }
        for (entry, _) in &waiting {
            labels.written(entry).await?;
        }
        info!(posts = done, "corrections written into the lake");
        Ok(())
    }
}
