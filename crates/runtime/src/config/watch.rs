//! Settings of anomaly detection.

use super::bounds::within;
use anyhow::{Result, bail};
use domain::{Dimension, WATCHED_DIMENSIONS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchConfig {
    pub enabled: bool,
    pub intervals_s: Vec<u32>,
    /// `sentiment`, `platform`, `language`, `country`.
    pub dimensions: Vec<String>,
    pub false_alarms_per_week: f64,
    pub lateness_s: u64,
    /// Intervals that ended less long ago are judged again when posts come late, seconds.
    pub late_s: u32,
    /// While the queue is behind, intervals wait for it at most so long, seconds.
    pub backlog_wait_s: u64,
    /// An anomaly is told at the latest after so long, explained or not, seconds.
    pub explain_within_s: u64,
    /// Most values of one dimension watched in one topic.
    pub parts_max: usize,
}

impl WatchConfig {
    /// The dimensions of the names, each once.
    pub fn dimensions(&self) -> Result<Vec<Dimension>> {
        let mut dimensions = Vec::new();
        for name in &self.dimensions {
            if name == Dimension::Category.name() {
                bail!("watch.dimensions: categories are always watched; leave category out")
            }
            match WATCHED_DIMENSIONS.into_iter().find(|dimension| dimension.name() == name) {
                Some(dimension) if dimensions.contains(&dimension) => {}
                Some(dimension) => dimensions.push(dimension),
                None => bail!("watch.dimensions: {name:?} is none of sentiment, platform, language, country"),
            }
        }
        Ok(dimensions)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.intervals_s.is_empty() {
            bail!("watch.intervals_s is empty: name a length, like [3600], or set watch.enabled = false");
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.intervals_s.iter().find(|length| !seen.insert(**length)) {
            bail!("watch.intervals_s names {twice} twice");
        }
        if self.intervals_s.iter().any(|s| *s < 60 || 86_400 % s != 0) {
            bail!("watch.intervals_s: each interval is at least 60 and divides a day (86,400) evenly");
        }
        self.dimensions()?;
        if !(0.001..=1_000.0).contains(&self.false_alarms_per_week) {
            bail!("watch.false_alarms_per_week must be 0.001 to 1000; a small one, like 0.1, alarms seldom");
        }
        within(
            "watch",
            &[
                ("lateness_s", self.lateness_s, 0, 86_400),
                ("late_s", self.late_s.into(), 0, 2_592_000),
                ("backlog_wait_s", self.backlog_wait_s, 0, 604_800),
                ("explain_within_s", self.explain_within_s, 0, 3_600),
                ("parts_max", self.parts_max as u64, 0, 20_000),
            ],
        )
    }
}
