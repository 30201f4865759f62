//! Questions about stored posts that the watch and the alert rules ask, with typed answers. How they are answered is up
//! to the store. `testkit::conformance::history` holds what every answer promises.

use crate::analytics::{Dimension, TimeRange};
use crate::anomaly::Anomaly;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::series::{SeriesCounts, SeriesKey};
use async_trait::async_trait;
use chrono::TimeDelta;
use std::collections::{BTreeMap, HashMap};

/// What the watch asks. An answer that needs too much time or memory is an error of kind `TooCostly`: ask for a shorter
/// range.
#[async_trait]
pub trait WatchHistory: Send + Sync {
    /// Event times of the oldest and the newest post; `None` while there are none.
    async fn span(&self) -> Result<Option<(Timestamp, Timestamp)>>;
    /// Mentions of a series in a range.
    async fn mentions(&self, series: &SeriesKey, range: TimeRange) -> Result<u64>;
    /// Posts per interval (by its start); intervals without posts are left out.
    async fn posts_by_interval(&self, range: TimeRange, interval_s: u32) -> Result<BTreeMap<Timestamp, u64>>;
    /// Counts of all posts and of each topic as a whole.
    async fn topic_counts(&self, range: TimeRange, interval_s: u32) -> Result<SeriesCounts>;
    /// Counts of the parts: the categories of each topic, and the values of `dimensions` of each topic and of all posts.
    async fn part_counts(&self, range: TimeRange, interval_s: u32, dimensions: &[Dimension]) -> Result<SeriesCounts>;
    /// What explains an incident.
    async fn evidence(&self, incident: &IncidentScope) -> Result<Evidence>;
    /// Ends of the anomalies that are stored as over and explained, by id.
    async fn explained_ends(&self) -> Result<HashMap<String, Timestamp>>;
    /// Grows with every commit.
    fn version(&self) -> u64;
}

/// What alert rules ask, live and in a back-test.
#[async_trait]
pub trait RuleHistory: Send + Sync {
    /// Mentions of a topic (none: all posts) in `windows.count` windows, the oldest first.
    async fn window_counts(&self, topic: Option<&str>, windows: Windows) -> Result<Vec<WindowCount>>;
    /// Event time of the oldest post with these words in any letter case; `enriched_since`: among those enriched since
    /// then and published at most a day earlier.
    async fn first_mention(
        &self,
        topic: Option<&str>,
        phrase: &str,
        enriched_since: Option<Timestamp>,
    ) -> Result<Option<Timestamp>>;
    /// When a source last brought a post; posts received or published before `since` don't count.
    async fn last_received(&self, source: &str, since: Timestamp) -> Result<Option<Timestamp>>;
    /// The seconds in which a source brought posts, in order.
    async fn received(&self, source: &str, range: TimeRange) -> Result<Vec<Timestamp>>;
    /// Anomalies of a topic (none: of all) whose onset lies in the range, the oldest onset first.
    async fn anomalies(&self, topic: Option<&str>, onset: TimeRange) -> Result<Vec<Anomaly>>;
}

/// Windows of equal length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub from: Timestamp,
    pub length: TimeDelta,
    pub count: usize,
}

/// Mentions in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCount {
    pub mentions: u64,
    pub negative: u64,
}

/// An incident to be explained, and how much may be read for it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentScope {
    pub series: SeriesKey,
    pub range: TimeRange,
    /// Length of the time before the incident that it is compared with.
    pub baseline: TimeDelta,
    /// About how many posts of the incident, and of the baseline, are read. If there are more, a sample is.
    pub posts_max: u32,
    pub baseline_posts_max: u32,
    /// Most posts to choose examples from.
    pub examples_max: usize,
}

/// Posts of an incident and of its baseline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Mentions that one of the posts stands for: 1 if all posts of the incident were read.
    pub weight: f64,
    pub posts: Vec<EvidencePost>,
    /// Values of the posts by dimension, each with the index of its post. Entities and phrases are in lower case. A
    /// dimension that can't be read is left out.
    pub values: BTreeMap<Dimension, Vec<(u32, String)>>,
    /// Posts of the incident in full: a random choice that stays the same as the incident grows.
    pub examples: Vec<PostInWindow>,
}

/// What is counted of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidencePost {
    pub occurred_at: Timestamp,
    /// The author; the post's id if there is none.
    pub author: String,
    /// The same for reposts and near-duplicates.
    pub message: String,
    pub is_negative: bool,
}

/// A post from which examples are chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PostInWindow {
    pub post_id: String,
    pub text: String,
    pub url: Option<String>,
    pub author: Option<String>,
    pub sentiment: Option<String>,
    /// Equal for near-duplicate texts; none when the text is too short.
    pub fingerprint: Option<i64>,
    pub repost_of: Option<String>,
    pub reach: Option<u64>,
}
