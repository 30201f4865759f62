//! One interval length: which stretches are counted, and when a stretch is counted again.
//!
//! Two grids of detectors: `live` has judged everything that is closed, `settled` everything up to a day ago. When posts
//! come late, the total of an interval that was judged is not what it was; then `live` is made anew of `settled` and the
//! counts of the day between. Only what then differs is told. Posts older than that change the detectors when they are
//! many (history brought in): they are built anew. Counting again takes at most a twentieth of the time.

use super::counts::{Counted, counts};
use super::tell::Telling;
use super::{Watch, WatchConfig};
use chrono::{Duration, TimeDelta};
use detect::{Change, Grid};
use domain::{Result, SeriesKey, TimeRange, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;
use tracing::{info, warn};

/// The lake is asked for so much at once.
const PIECE: TimeDelta = TimeDelta::days(1);
/// The settled grid follows in steps of at least so much.
const SETTLING: TimeDelta = TimeDelta::hours(1);
/// Counting again pauses for so many times as long as it took.
const REST: u32 = 20;

/// One interval length.
pub(super) struct Judge {
    live: Grid,
    settled: Grid,
    /// Posts in each interval that only `live` has judged, as it was told.
    totals: BTreeMap<Timestamp, u64>,
    /// Posts that `settled` has judged.
    settled_posts: u64,
    /// Version of the lake that was last looked through for late posts, and when it may be again.
    looked_back: (u64, Instant),
    /// Ends of the anomalies that the lake held as over and explained when the counting began: they are told already.
    stored: HashMap<String, Timestamp>,
}

impl Judge {
    pub(super) fn new(interval_s: u32, config: &WatchConfig) -> Self {
        let grid = Grid::new(config.grid(interval_s));
        Self {
            live: grid.clone(),
            settled: grid,
            totals: BTreeMap::new(),
            settled_posts: 0,
            looked_back: (0, Instant::now()),
            stored: HashMap::new(),
        }
    }

    /// Everything before is judged.
    pub(super) fn done(&self) -> Option<Timestamp> {
        self.live.done()
    }

    /// Records how far the judged intervals are behind, and how many series there are.
    pub(super) fn measure(&self, reference: Timestamp) {
        let interval = || self.live.interval_s().to_string();
        if let Some(done) = self.live.done() {
            let delay = (reference - done).as_seconds_f64().max(0.0);
            metrics::gauge!("overheard_watch_delay_seconds", "interval_s" => interval()).set(delay);
        }
        metrics::gauge!("overheard_watch_series", "interval_s" => interval()).set(self.live.series_count() as f64);
    }

    /// Judges what can be closed by now and was not, and what late posts changed.
    #[tracing::instrument(level = "warn", name = "watch", skip_all, fields(interval_s = self.live.interval_s()))]
    pub(super) async fn look(
        &mut self,
        watch: &Watch,
        telling: &mut Telling,
        first: Timestamp,
        upto: Timestamp,
    ) -> Result<()> {
        let begin = self.live.floor(first.max(upto - watch.config.history));
        if self.live.done().is_none() {
            self.begin(begin, watch).await?;
        }
        let began = Instant::now();
        let version = watch.history.version();
        if self.looked_back.0 != version && began >= self.looked_back.1 {
            if self.is_past_changed(watch, begin).await? {
                info!(interval_s = self.live.interval_s(), "posts of the past were brought in: counting anew");
                let mut fresh = Self::new(self.live.interval_s(), &watch.config);
                fresh.begin(begin, watch).await?;
                *self = fresh;
                self.advance(watch, telling, upto).await?;
                self.withdraw(telling);
            } else if self.is_day_changed(watch).await? {
                self.judge_again(watch, telling).await?;
            }
            let rest = (began.elapsed() * REST).max(watch.config.look_back_every);
            self.looked_back = (version, Instant::now() + rest);
        }
        self.advance(watch, telling, upto).await
    }

    async fn begin(&mut self, at: Timestamp, watch: &Watch) -> Result<()> {
        self.stored = watch.history.explained_ends().await?;
        self.live.begin(at);
        self.settled = self.live.clone();
        self.looked_back.0 = watch.history.version();
        Ok(())
    }

    /// Counts and judges piece by piece up to a moment.
    async fn advance(&mut self, watch: &Watch, telling: &mut Telling, upto: Timestamp) -> Result<()> {
        let (to, settled_to) = (self.live.floor(upto), self.live.floor(upto - watch.config.late));
        while let Some(from) = self.live.done().filter(|done| *done < to) {
            let goal = if from < settled_to { settled_to } else { to };
            let piece = TimeRange { from, to: goal.min(from + PIECE) };
            let counted = self.counted(watch, piece).await?;
            self.totals.extend(counted.posts());
            let changes = push(&mut self.live, &counted, piece);
            self.note(watch, telling, changes);
            if piece.to == settled_to {
                self.settled_posts += self.totals.values().sum::<u64>();
                self.totals.clear();
                self.settled = self.live.clone();
            }
        }
        match self.settled.done() {
            Some(from) if settled_to - from >= SETTLING.max(Duration::seconds(self.live.interval_s().into())) => {
                self.settle(watch, TimeRange { from, to: settled_to }).await
            }
            _ => Ok(()),
        }
    }

    /// The day is over for a range: as it is counted now it is learned for good.
    async fn settle(&mut self, watch: &Watch, range: TimeRange) -> Result<()> {
        let counted = self.counted(watch, range).await?;
        self.settled_posts += counted.posts().map(|(_, posts)| posts).sum::<u64>();
        self.totals = self.totals.split_off(&range.to);
        push(&mut self.settled, &counted, range);
        Ok(())
    }

    async fn counted(&self, watch: &Watch, range: TimeRange) -> Result<Counted> {
        counts(watch.history.as_ref(), range, self.live.interval_s(), &watch.config.dimensions).await
    }

    /// Many posts came that are older than what is judged again, or older than what was ever counted.
    async fn is_past_changed(&self, watch: &Watch, begin: Timestamp) -> Result<bool> {
        let Some(to) = self.settled.done() else { return Ok(false) };
        let from = begin.min(self.settled.began());
        let posts = watch.history.mentions(&SeriesKey::all_posts(), TimeRange { from, to }).await?;
        Ok(detect::is_past_changed(posts as f64, self.settled_posts as f64))
    }

    /// An interval of the last day has other posts than when it was judged.
    async fn is_day_changed(&self, watch: &Watch) -> Result<bool> {
        let (Some(from), Some(to)) = (self.settled.done(), self.live.done()) else { return Ok(false) };
        let now = watch.history.posts_by_interval(TimeRange { from, to }, self.live.interval_s()).await?;
        Ok(now != self.totals)
    }

    async fn judge_again(&mut self, watch: &Watch, telling: &mut Telling) -> Result<()> {
        let (Some(from), Some(to)) = (self.settled.done(), self.live.done()) else { return Ok(()) };
        let counted = self.counted(watch, TimeRange { from, to }).await?;
        self.totals = counted.posts().collect();
        self.live = self.settled.clone();
        let changes = push(&mut self.live, &counted, TimeRange { from, to });
        info!(
            interval_s = self.live.interval_s(),
            changes = changes.len(),
            "late posts arrived: their intervals are judged again"
        );
        self.note(watch, telling, changes);
        self.withdraw(telling);
        Ok(())
    }

    fn note(&self, watch: &Watch, telling: &mut Telling, changes: Vec<(SeriesKey, Change)>) {
        for (key, change) in detect::latest(changes) {
            telling.note(watch, key, change, self.live.interval_s(), &self.stored);
        }
    }

    fn withdraw(&self, telling: &mut Telling) {
        let interval_s = self.live.interval_s();
        let ids = self.live.incidents().map(|(key, incident)| detect::anomaly_id(key, interval_s, incident));
        telling.withdraw(interval_s, &ids.collect::<BTreeSet<_>>());
    }
}

/// Judges the intervals of a range by their counts, and says if there are parts too many to be watched.
fn push(grid: &mut Grid, counted: &Counted, range: TimeRange) -> Vec<(SeriesKey, Change)> {
    let left_out_before = grid.left_out();
    let changes = grid.push(&counted.counts, &counted.without_parts, range);
    let left_out = grid.left_out();
    if left_out != left_out_before {
        if left_out_before == 0 {
            warn!(left_out, "too many parts of topics: those with the fewest mentions are not watched");
        }
        metrics::gauge!("overheard_watch_parts_left_out", "interval_s" => grid.interval_s().to_string())
            .set(left_out as f64);
    }
    changes
}
