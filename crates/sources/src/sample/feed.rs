//! Feeds the bundled sample into the queue: its history as fast as the queue takes it, then second by second.

use super::{HISTORY_DAYS, Sample};
use crate::kit::ingest;
use chrono::Duration;
use domain::{Clock, Error, ErrorKind, PostQueue, Result, SourceId, StateStore, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Posts appended at once while the history is replayed.
const REPLAY_BATCH: usize = 1_000;
/// Where the moment of the first start is kept, and how far the sample was fed.
const CURSOR: (&str, &str) = ("cursor", "sample");

/// The sample as a source.
pub struct Feed {
    sample: Sample,
    /// Days of history that are replayed at the first start.
    days: i64,
    queue: Arc<dyn PostQueue>,
    state: Arc<dyn StateStore>,
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
        let anchor = match state.get(CURSOR.0, CURSOR.1).await? {
            Some(cursor) => serde_json::from_value(cursor["anchor"].clone())
                .map_err(|error| Error::caused(ErrorKind::Stop, "the sample's first start is not readable", error))?,
            None => {
                let now = clock.now();
                state.put(CURSOR.0, CURSOR.1, json!({"anchor": now, "until": Value::Null})).await?;
                now
            }
        };
        Ok(Self { sample: Sample::anchored(anchor)?, days, queue, state, clock })
    }

    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Feeds until `shutdown`; a full queue makes it wait.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut from =
            self.until().await?.unwrap_or_else(|| self.sample.begins() + Duration::days(HISTORY_DAYS - self.days));
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

    async fn feed(&self, from: Timestamp, to: Timestamp) -> Result<()> {
        let source = SourceId("sample".into());
        for batch in self.sample.between(from, to).chunks(REPLAY_BATCH) {
            ingest::append(self.queue.as_ref(), &source, batch.to_vec()).await?;
        }
        self.state.put(CURSOR.0, CURSOR.1, json!({"anchor": self.sample.anchor(), "until": to})).await
    }

    async fn until(&self) -> Result<Option<Timestamp>> {
        let cursor = self.state.get(CURSOR.0, CURSOR.1).await?;
        Ok(cursor.and_then(|cursor| serde_json::from_value(cursor["until"].clone()).ok()))
    }
}
