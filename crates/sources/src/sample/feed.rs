//! Feeds the bundled sample into the queue: live posts second by second, and its history beside them, newest first, so
//! that there is something to see at once. History is appended in small pieces and waits while the queue holds more than
//! a batch: a live post never waits behind it for long.

use super::{HISTORY_DAYS, Sample};
use crate::kit::ingest;
use chrono::{Duration, TimeDelta};
use domain::{Backfill, Backfills, Clock, PostQueue, Result, SourceId, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use state::Cursor;
use std::sync::Arc;
use std::time::Duration as StdDuration;
use tokio_util::sync::CancellationToken;

const NAME: &str = "sample";
/// History is appended in pieces of this length. The first one is short, so that something is stored within a second.
const PIECE: TimeDelta = TimeDelta::hours(1);
const PIECE_FIRST: TimeDelta = TimeDelta::minutes(5);
/// While the queue holds more records, history waits. About a second of enrichment on two cores.
const WAITING_MAX: u64 = 200;
/// A longer stretch without live posts is history: it comes newest first, too.
const GAP: TimeDelta = TimeDelta::minutes(10);
/// Live posts are fed this often, and history is looked after.
const LIVE_EVERY: TimeDelta = TimeDelta::seconds(1);
const TICK: StdDuration = StdDuration::from_millis(100);

/// What is remembered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// The moment of the first start.
    anchor: Option<Timestamp>,
    /// How far the sample was fed.
    until: Option<Timestamp>,
    /// Stretches before `until` that are still to be fed, each from its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Stretch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
}

/// The sample as a source.
pub struct Feed {
    sample: Sample,
    /// Where history begins.
    begins: Timestamp,
    /// History that was missing when the backfill began; none: no backfill is reported.
    backfill: Option<TimeDelta>,
    /// Nothing was fed since the start.
    is_first: bool,
    queue: Arc<dyn PostQueue>,
    cursor: Cursor<Position>,
    clock: Arc<dyn Clock>,
}

impl Feed {
    /// The sample, anchored at its first start: the same posts at every later one. `days`: the length of its history.
    pub async fn open(
        days: i64,
        queue: Arc<dyn PostQueue>,
        state: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut cursor = Cursor::<Position>::load(state, NAME).await?;
        let anchor = *cursor.value.anchor.get_or_insert_with(|| clock.now());
        cursor.save().await?;
        let sample = Sample::anchored(anchor)?;
        let begins = sample.begins() + Duration::days(HISTORY_DAYS - days);
        Ok(Self { sample, begins, backfill: None, is_first: true, queue, cursor, clock })
    }

    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Feeds until `shutdown`; a full queue makes it wait.
    pub async fn run(mut self, backfills: Arc<Backfills>, shutdown: CancellationToken) -> Result<()> {
        while !shutdown.is_cancelled() {
            tokio::select! {
                fed = self.step(&backfills) => fed?,
                () = shutdown.cancelled() => {}
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Live posts, then history as far as the queue has room for it.
    async fn step(&mut self, backfills: &Backfills) -> Result<()> {
        self.live().await?;
        while let Some(stretch) = self.cursor.value.missing.last().copied() {
            backfills.report(self.progress(stretch));
            if std::mem::take(&mut self.is_first) {
                return self.history(stretch, PIECE_FIRST).await;
            }
            if self.queue.depth().await?.waiting > WAITING_MAX {
                return Ok(());
            }
            self.history(stretch, PIECE).await?;
        }
        if self.backfill.is_some() {
            let depth = self.queue.depth().await?;
            // What was read is complete once it is in the lake.
            if depth.waiting + depth.in_flight == 0 {
                self.backfill = None;
                backfills.finish(NAME);
            }
        }
        Ok(())
    }

    /// Feeds up to now, or notes what is missing up to now.
    async fn live(&mut self) -> Result<()> {
        let now = self.clock.now();
        let from = self.cursor.value.until.unwrap_or(self.begins);
        if now - from < LIVE_EVERY {
            return Ok(());
        }
        if now - from > GAP {
            self.cursor.value.missing.push(Stretch { from, to: now });
            self.backfill = Some(self.missing());
        } else {
            self.append(from, now).await?;
        }
        self.cursor.value.until = Some(now);
        self.cursor.save().await
    }

    /// Feeds the last piece of a stretch.
    async fn history(&mut self, stretch: Stretch, length: TimeDelta) -> Result<()> {
        let from = stretch.from.max(stretch.to - length);
        self.append(from, stretch.to).await?;
        self.cursor.value.missing.pop();
        if from > stretch.from {
            self.cursor.value.missing.push(Stretch { to: from, ..stretch });
        }
        self.cursor.save().await
    }

    async fn append(&self, from: Timestamp, to: Timestamp) -> Result<()> {
        let records = self.sample.between(from, to);
        ingest::append(self.queue.as_ref(), &SourceId(NAME.into()), records).await?;
        Ok(())
    }

    fn missing(&self) -> TimeDelta {
        self.cursor.value.missing.iter().map(|stretch| stretch.to - stretch.from).sum()
    }

    /// The progress of the backfill, whose newest missing piece ends with this stretch.
    fn progress(&mut self, stretch: Stretch) -> Backfill {
        let missing = self.missing();
        let all = *self.backfill.get_or_insert(missing);
        let done = 1.0 - missing.as_seconds_f64() / all.as_seconds_f64().max(1.0);
        Backfill { source: NAME.into(), done: done.max(0.0), complete_from: stretch.to }
    }
}
