//! The watch: counts of each closed interval, asked of the lake, go through one detector per series (topic, and its
//! parts by category and other dimensions) and interval length; what opens, grows or ends an anomaly is explained,
//! stored and told to the listener.
//!
//! Nothing of the detectors is stored. At start, and when old posts are brought in afterwards, they are rebuilt from
//! the lake's counts; the ids of anomalies are made of series and onset, so the same ones come out and none is told
//! twice.

pub mod counts;
mod evidence;
mod grid;
mod series;
mod story;

use async_trait::async_trait;
use chrono::{Duration, TimeDelta};
use chrono_tz::Tz;
use counts::{SeriesKey, Stretch};
use detect::{Change, Incident};
use domain::{Analytics, Anomaly, Clock, Health, PostTable, Result, Timestamp};
use grid::Grid;
pub use series::Dimension;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
    /// Most series watched per interval length: bounds memory (a few kB each).
    pub series_max: usize,
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
        }
    }
}

/// Told of every anomaly that opens, grows or ends, after it is in the lake. Called at least once per change.
#[async_trait]
pub trait AnomalyListener: Send + Sync {
    async fn observe(&self, anomalies: Vec<Anomaly>, now: Timestamp) -> Result<()>;
}

/// The service.
pub struct Watch {
    pub config: WatchConfig,
    pub analytics: Arc<dyn Analytics>,
    pub lake: Arc<dyn PostTable>,
    pub clock: Arc<dyn Clock>,
    pub listener: Arc<dyn AnomalyListener>,
    /// Told while the volume can't be judged.
    pub health: Arc<Health>,
}

/// When data is older than this it is history being brought in: time is then what the posts say, not what the clock says.
const HISTORIC: TimeDelta = TimeDelta::hours(6);

impl Watch {
    /// Runs until shutdown. A lake that can't be asked for a while is asked again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let mut grids: Vec<Grid> = self.config.intervals_s.iter().map(|interval_s| Grid::new(*interval_s)).collect();
        let mut known_first = None;
        while !shutdown.is_cancelled() {
            match self.look(&mut grids, &mut known_first).await {
                Ok(()) => self.health.recovered("watch"),
                Err(error) => {
                    warn!(%error, "the lake could not be asked for counts; trying again");
                    self.health.failed("watch", &error, self.clock.now());
                    grids.iter_mut().for_each(Grid::forget);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.tick) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Judges every interval that can be closed by now.
    async fn look(&self, grids: &mut [Grid], known_first: &mut Option<Timestamp>) -> Result<()> {
        let Some((first, newest)) = counts::span(self.analytics.as_ref()).await? else { return Ok(()) };
        let now = self.clock.now();
        let live = now - newest < HISTORIC;
        // Live, an interval closes by the clock, so that silence is seen; in history it closes when posts pass it.
        let upto = if live { now - lateness(&self.config) } else { newest };
        if known_first.replace(first).is_some_and(|known| first < known) {
            info!("posts of the past were brought in: counting anew");
            grids.iter_mut().for_each(Grid::forget);
        }
        for grid in grids {
            self.advance(grid, first, upto, now).await?;
        }
        Ok(())
    }

    async fn advance(&self, grid: &mut Grid, first: Timestamp, upto: Timestamp, now: Timestamp) -> Result<()> {
        let to = grid.floor(upto);
        let from = match grid.done {
            Some(done) => done,
            None => {
                let from = grid.floor(first.max(upto - self.config.history));
                grid.began = from;
                from
            }
        };
        if from >= to {
            return Ok(());
        }
        let counted =
            counts::counts(self.analytics.as_ref(), Stretch { from, to }, grid.interval_s, &self.config.dimensions)
                .await?;
        let changes = grid.push(counted, from, to, &self.config);
        grid.done = Some(to);
        if changes.is_empty() {
            return Ok(());
        }
        let mut anomalies = Vec::new();
        for (key, change) in latest(changes) {
            anomalies.push(story::tell(self, &key, &change, grid.interval_s, now).await?);
        }
        info!(anomalies = anomalies.len(), interval_s = grid.interval_s, "anomalies opened, grown or ended");
        self.lake.put_anomalies(anomalies.clone()).await?;
        self.listener.observe(anomalies, now).await
    }
}

fn lateness(config: &WatchConfig) -> TimeDelta {
    TimeDelta::from_std(config.lateness).unwrap_or(TimeDelta::minutes(1))
}

/// Of several changes of one incident the last one counts: it holds the others.
fn latest(changes: Vec<(SeriesKey, Change)>) -> Vec<(SeriesKey, Change)> {
    let mut last: BTreeMap<(SeriesKey, Timestamp), Change> = BTreeMap::new();
    for (key, change) in changes {
        last.insert((key, change.incident().onset), change);
    }
    last.into_iter().map(|((key, _), change)| (key, change)).collect()
}

/// The incident's id: the same series and onset give the same.
fn anomaly_id(key: &SeriesKey, interval_s: u32, incident: &Incident) -> String {
    format!("{}/{interval_s}/{}", key.id(), incident.onset.timestamp())
}
