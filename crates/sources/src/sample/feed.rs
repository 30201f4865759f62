//! Feeds the bundled sample into the queue: its history as fast as the queue takes it, then second by second.

use super::{HISTORY_DAYS, Sample};
use crate::kit::ingest;
use chrono::Duration;
use domain::{Clock, PostQueue, Result, SourceId, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use state::Cursor;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Posts appended at once while the history is replayed.
const REPLAY_BATCH: usize = 1_000;

/// What is remembered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// The moment of the first start.
    anchor: Option<Timestamp>,
    /// How far the sample was fed.
    until: Option<Timestamp>,
}

/// The sample as a source.
pub struct Feed {
    sample: Sample,
    /// Days of history that are replayed at the first start.
    days: i64,
    queue: Arc<dyn PostQueue>,
    cursor: Cursor<Position>,
    clock: Arc<dyn Clock>,
}

impl Feed {
    /// The sample, anchored at its first start: the same posts at every later one.
    pub async fn open(
        days: i64,
        queue: Arc<dyn PostQueue>,
        state: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut cursor = Cursor::<Position>::load(state, "sample").await?;
        let anchor = *cursor.value.anchor.get_or_insert_with(|| clock.now());
        cursor.save().await?;
        Ok(Self { sample: Sample::anchored(anchor)?, days, queue, cursor, clock })
    }

    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Feeds until `shutdown`; a full queue makes it wait.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<()> {
        let begins = self.sample.begins() + Duration::days(HISTORY_DAYS - self.days);
        let mut from = self.cursor.value.until.unwrap_or(begins);
        while !shutdown.is_cancelled() {
            // Half a day at a time while catching up, so that a stop never waits for two weeks.
            let to = self.clock.now().min(from + Duration::hours(12));
            tokio::select! {
                fed = self.feed(from, to) => fed?,
                () = shutdown.cancelled() => return Ok(()),
            }
            from = to;
            if self.clock.now() - from < Duration::seconds(1) {
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    async fn feed(&mut self, from: Timestamp, to: Timestamp) -> Result<()> {
        let source = SourceId("sample".into());
        for batch in self.sample.between(from, to).chunks(REPLAY_BATCH) {
            ingest::append(self.queue.as_ref(), &source, batch.to_vec()).await?;
        }
        self.cursor.value.until = Some(to);
        self.cursor.save().await
    }
}
