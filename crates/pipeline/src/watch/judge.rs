//! One interval length: which stretches are counted, and when a stretch is counted again.
//!
//! Two grids of detectors: `live` has judged everything that is closed, `settled` everything up to a day ago. When posts
//! come late, the total of an interval that was judged is not what it was; then `live` is made anew of `settled` and the
//! counts of the day between. Only what then differs is told. Posts older than that change the detectors when they are
//! many (history brought in): they are built anew. Counting again takes at most a twentieth of the time.

use super::counts::{self, Counted, Stretch};
use super::grid::Grid;
use super::tell::{self, Telling};
use super::{Watch, WatchConfig};
use chrono::{Duration, TimeDelta};
use domain::{Result, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::time::Instant;
use tracing::info;

/// The lake is asked for so much at once.
const PIECE: TimeDelta = TimeDelta::days(1);
/// The settled grid follows in steps of at least so much.
const SETTLING: TimeDelta = TimeDelta::hours(1);
/// Counting again pauses for so many times as long as it took.
const REST: u32 = 20;
/// Posts of the past are worth counting everything anew when they are so many, and such a share of those counted.
const PAST_MIN: f64 = 50.0;
const PAST_SHARE: f64 = 0.005;

/// One interval length.
pub(super) struct Judge {
    live: Grid,
    settled: Grid,
    /// Posts in each interval that only `live` has judged, as it was told.
    totals: BTreeMap<Timestamp, f64>,
    /// Posts that `settled` has judged.
    settled_posts: f64,
    /// Version of the lake that was last looked through for late posts, and when it may be again.
    looked_back: (u64, Instant),
    /// Ends of the anomalies that the lake held as over and explained when the counting began: they are told already.
    stored: HashMap<String, Timestamp>,
}

impl Judge {
    pub(super) fn new(interval_s: u32, config: &WatchConfig) -> Self {
        let grid = Grid::new(interval_s, config);
        Self {
            live: grid.clone(),
            settled: grid,
            totals: BTreeMap::new(),
            settled_posts: 0.0,
            looked_back: (0, Instant::now()),
            stored: HashMap::new(),
        }
    }

    /// Everything before is judged.
    pub(super) fn done(&self) -> Option<Timestamp> {
        self.live.done
    }

    /// Records how far the judged intervals are behind, and how many series there are.
    pub(super) fn measure(&self, reference: Timestamp) {
        let interval = || self.live.interval_s.to_string();
        if let Some(done) = self.live.done {
            let delay = (reference - done).as_seconds_f64().max(0.0);
            metrics::gauge!("overheard_watch_delay_seconds", "interval_s" => interval()).set(delay);
        }
        metrics::gauge!("overheard_watch_series", "interval_s" => interval()).set(self.live.series_count() as f64);
    }

    /// Judges what can be closed by now and was not, and what late posts changed.
    #[tracing::instrument(name = "watch", skip_all, fields(interval_s = self.live.interval_s))]
    pub(super) async fn look(
        &mut self,
        watch: &Watch,
        telling: &mut Telling,
        first: Timestamp,
        upto: Timestamp,
    ) -> Result<()> {
        let begin = self.live.floor(first.max(upto - watch.config.history));
        if self.live.done.is_none() {
            self.begin(begin, watch).await?;
        }
        let began = Instant::now();
        let version = watch.analytics.version();
        if self.looked_back.0 != version && began >= self.looked_back.1 {
            if self.is_past_changed(watch, begin).await? {
                info!(interval_s = self.live.interval_s, "posts of the past were brought in: counting anew");
                let mut fresh = Self::new(self.live.interval_s, &watch.config);
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
        self.stored = tell::stored(watch).await?;
        (self.live.done, self.live.began) = (Some(at), at);
        self.settled = self.live.clone();
        self.looked_back.0 = watch.analytics.version();
        Ok(())
    }

    /// Counts and judges piece by piece up to a moment.
    async fn advance(&mut self, watch: &Watch, telling: &mut Telling, upto: Timestamp) -> Result<()> {
        let (to, settled_to) = (self.live.floor(upto), self.live.floor(upto - watch.config.late));
        while let Some(from) = self.live.done.filter(|done| *done < to) {
            let goal = if from < settled_to { settled_to } else { to };
            let piece = Stretch { from, to: goal.min(from + PIECE) };
            let counted = self.counted(watch, piece).await?;
            self.remember(&counted);
            let changes = self.live.push(counted, piece.from, piece.to, &watch.config);
            self.live.done = Some(piece.to);
            for (key, change) in super::latest(changes) {
                telling.note(watch, key, change, self.live.interval_s, &self.stored);
            }
            if piece.to == settled_to {
                self.settled_posts += self.totals.values().sum::<f64>();
                self.totals.clear();
                self.settled = self.live.clone();
            }
        }
        match self.settled.done {
            Some(from) if settled_to - from >= SETTLING.max(Duration::seconds(self.live.interval_s.into())) => {
                self.settle(watch, Stretch { from, to: settled_to }).await
            }
            _ => Ok(()),
        }
    }

    /// The day is over for a stretch: as it is counted now it is learned for good.
    async fn settle(&mut self, watch: &Watch, stretch: Stretch) -> Result<()> {
        let counted = self.counted(watch, stretch).await?;
        self.settled_posts += totals(&counted).values().sum::<f64>();
        self.totals = self.totals.split_off(&stretch.to);
        self.settled.push(counted, stretch.from, stretch.to, &watch.config);
        self.settled.done = Some(stretch.to);
        Ok(())
    }

    async fn counted(&self, watch: &Watch, stretch: Stretch) -> Result<Counted> {
        let (analytics, interval_s) = (watch.analytics.as_ref(), self.live.interval_s);
        counts::counts(analytics, stretch, interval_s, &watch.config.dimensions).await
    }

    fn remember(&mut self, counted: &Counted) {
        self.totals.extend(totals(counted));
    }

    /// Many posts came that are older than what is judged again, or older than what was ever counted.
    async fn is_past_changed(&self, watch: &Watch, begin: Timestamp) -> Result<bool> {
        let Some(to) = self.settled.done else { return Ok(false) };
        let from = begin.min(self.settled.began);
        let posts = counts::total(watch.analytics.as_ref(), Stretch { from, to }).await?;
        Ok(posts - self.settled_posts > PAST_MIN.max(PAST_SHARE * self.settled_posts))
    }

    /// An interval of the last day has other posts than when it was judged.
    async fn is_day_changed(&self, watch: &Watch) -> Result<bool> {
        let (Some(from), Some(to)) = (self.settled.done, self.live.done) else { return Ok(false) };
        let now = counts::totals(watch.analytics.as_ref(), Stretch { from, to }, self.live.interval_s).await?;
        Ok(now != self.totals)
    }

    async fn judge_again(&mut self, watch: &Watch, telling: &mut Telling) -> Result<()> {
        let (Some(from), Some(to)) = (self.settled.done, self.live.done) else { return Ok(()) };
        let counted = self.counted(watch, Stretch { from, to }).await?;
        self.totals = totals(&counted);
        self.live = self.settled.clone();
        let changes = self.live.push(counted, from, to, &watch.config);
        self.live.done = Some(to);
        info!(
            interval_s = self.live.interval_s,
            changes = changes.len(),
            "posts came late: their intervals are judged again"
        );
        for (key, change) in super::latest(changes) {
            telling.note(watch, key, change, self.live.interval_s, &self.stored);
        }
        self.withdraw(telling);
        Ok(())
    }

    fn withdraw(&self, telling: &mut Telling) {
        let interval_s = self.live.interval_s;
        let ids = self.live.incidents().map(|(key, incident)| super::anomaly_id(key, interval_s, incident));
        telling.withdraw(interval_s, &ids.collect::<BTreeSet<_>>());
    }
}

fn totals(counted: &Counted) -> BTreeMap<Timestamp, f64> {
    let whole = counted.counts.iter().filter(|count| count.key.topic == counts::EVERYTHING && count.key.part.is_none());
    whole.map(|count| (count.at, count.mentions)).collect()
}
