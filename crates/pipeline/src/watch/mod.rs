//! The watch: asks for the counts of each closed interval and feeds them to the detectors (`detect::Grid`), which decide
//! what is reported. An anomaly that opens, grows or ends is stored and passed to the listener at once, and explained
//! within bounds (`tell`).
//!
//! The state of the detectors is not stored. At start, and when many posts of the past are imported, they are built from
//! the lake's counts. The ids of anomalies are made of series and onset, so the same ones come out and none is reported
//! twice. Intervals of the last day are judged again when posts come late (`judge`).

pub mod counts;
mod judge;
mod tell;

use chrono::{Duration, TimeDelta};
use chrono_tz::Tz;
use detect::{FalseAlarms, GridConfig};
use domain::{
    AnomalyListener, Backfills, Clock, Dimension, Health, PostQueue, PostTable, Result, Timestamp, WatchHistory,
};
use judge::Judge;
use std::sync::Arc;
use tell::Telling;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How the volume is watched.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// Lengths of the counting intervals, seconds; each divides a day.
    pub intervals_s: Vec<u32>,
    /// An interval waits so long for late posts before it is judged.
    pub lateness: std::time::Duration,
    /// False alarms a week that the user can live with, over everything watched.
    pub false_alarms_per_week: f64,
    /// Dimensions by whose values each topic is watched in parts, besides its categories.
    pub dimensions: Vec<Dimension>,
    /// Time zone of the sentences for people, and of the days and weeks by which they post.
    pub time_zone: Tz,
    /// How often the lake is asked whether an interval can be closed.
    pub tick: std::time::Duration,
    /// History from which detectors learn when they are rebuilt.
    pub history: TimeDelta,
    /// Most parts of topics watched per interval length: bounds memory (a few kB each). Topics as wholes always are.
    pub series_max: usize,
    /// Most values of one dimension watched in one topic: those mentioned most of late.
    pub parts_max: usize,
    /// An anomaly is told at the latest after so long, explained or not.
    pub explain_within: std::time::Duration,
    /// Intervals that ended less long ago are judged again when posts come late.
    pub late: TimeDelta,
    /// While the queue is behind, intervals wait for it at most so long.
    pub backlog_wait: std::time::Duration,
    /// Least pause between two looks for late posts.
    pub look_back_every: std::time::Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            intervals_s: vec![900, 3600],
            lateness: std::time::Duration::from_secs(60),
            false_alarms_per_week: 1.0,
            dimensions: vec![Dimension::Sentiment, Dimension::Platform],
            time_zone: Tz::UTC,
            tick: std::time::Duration::from_secs(2),
            history: Duration::weeks(13),
            series_max: 20_000,
            parts_max: 50,
            explain_within: std::time::Duration::from_secs(8),
            late: Duration::hours(24),
            backlog_wait: std::time::Duration::from_secs(900),
            look_back_every: std::time::Duration::from_secs(15),
        }
    }
}

impl WatchConfig {
    /// The detectors of one interval length: the lengths share the false alarms.
    fn grid(&self, interval_s: u32) -> GridConfig {
        let per_week = self.false_alarms_per_week / self.intervals_s.len().max(1) as f64;
        GridConfig {
            interval_s,
            false_alarms: FalseAlarms { per_week },
            time_zone: self.time_zone,
            series_max: self.series_max,
            parts_max: self.parts_max,
        }
    }
}

/// The service.
#[derive(Clone)]
pub struct Watch {
    pub config: WatchConfig,
    pub history: Arc<dyn WatchHistory>,
    pub lake: Arc<dyn PostTable>,
    pub clock: Arc<dyn Clock>,
    pub listener: Arc<dyn AnomalyListener>,
    /// Asked whether posts still wait to be understood.
    pub queue: Arc<dyn PostQueue>,
    /// Told while the volume can't be judged.
    pub health: Arc<Health>,
    /// Nothing is judged while a source adds posts of the past: half of a history would look like a rise or a drop.
    pub backfills: Arc<Backfills>,
}

/// When data is older than this it is history being brought in: time is then what the posts say, not what the clock says.
const HISTORIC: TimeDelta = TimeDelta::hours(6);

/// What says what time it is, as of the last look that succeeded.
#[derive(Debug, Default, Clone, Copy)]
enum Time {
    #[default]
    OfTheClock,
    /// Of history, the newest post.
    OfPosts(Timestamp),
}

/// Longest pause after failures.
const PAUSE_MAX: std::time::Duration = std::time::Duration::from_secs(60);

impl Watch {
    /// Runs until shutdown. A lake that can't be asked is asked again, after longer and longer pauses; what was judged
    /// is kept.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut judges: Vec<Judge> =
            self.config.intervals_s.iter().map(|interval_s| Judge::new(*interval_s, &self.config)).collect();
        let mut telling = Telling::new();
        let (mut failures, mut time) = (0_u32, Time::default());
        while !shutdown.is_cancelled() {
            match self.look(&mut judges, &mut telling, &mut time).await {
                Ok(()) => {
                    failures = 0;
                    self.health.recovered("watch");
                }
                Err(error) => {
                    failures += 1;
                    let done = judges.iter().filter_map(Judge::done).min();
                    let since =
                        done.map_or_else(|| "nothing is judged".into(), |at| format!("nothing since {at} is judged"));
                    warn!(%error, since, failures, "mentions could not be counted or told; trying again");
                    self.health.failed("watch", format!("{error}; {since}"), self.clock.now());
                }
            }
            let pause = self.config.tick.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX.max(self.config.tick));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Judges every interval that can be closed by now, and tells. A failure of one interval length doesn't hold up the
    /// other, nor the telling of what is known.
    async fn look(&self, judges: &mut [Judge], telling: &mut Telling, time: &mut Time) -> Result<()> {
        if !self.backfills.running().is_empty() {
            return Ok(());
        }
        let mut outcome = Ok(());
        match self.history.span().await {
            Ok(None) => return Ok(()),
            Err(error) => outcome = Err(error),
            Ok(Some((first, newest))) => {
                let upto = self.closed(newest).await;
                *time = if self.clock.now() - newest >= HISTORIC { Time::OfPosts(newest) } else { Time::OfTheClock };
                for judge in judges.iter_mut() {
                    outcome = outcome.and(judge.look(self, telling, first, upto).await);
                }
            }
        }
        let now = match *time {
            Time::OfPosts(newest) => newest,
            Time::OfTheClock => self.clock.now(),
        };
        judges.iter().for_each(|judge| judge.measure(now));
        outcome.and(telling.tell(self).await)
    }

    /// Until when intervals can be closed. Live, by the clock, so that silence is seen, except that posts which wait in
    /// the queue are waited for; in history, when posts pass them.
    async fn closed(&self, newest: Timestamp) -> Timestamp {
        let now = self.clock.now();
        if now - newest >= HISTORIC {
            return newest;
        }
        // A queue that can't tell is another's worry.
        let depth = self.queue.depth().await.unwrap_or_default();
        let behind = std::time::Duration::from_millis(depth.oldest_ms).min(self.config.backlog_wait);
        now - span(self.config.lateness) - span(behind)
    }
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::hours(1))
}
