//! Series: mentions per interval of a topic, or of the part of it with one value of a dimension.

use crate::analytics::Dimension;
use crate::anomaly::Slice;
use crate::clock::Timestamp;
use std::collections::BTreeMap;

/// What stored anomalies have as the topic if they are of all posts, whatever their topics.
pub const ALL_POSTS: &str = "everything";

/// Dimensions that topics can be watched by, besides their categories: few values, one a post.
pub const WATCHED_DIMENSIONS: [Dimension; 4] =
    [Dimension::Sentiment, Dimension::Platform, Dimension::Language, Dimension::Country];

/// A topic as a whole, or its part with one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// None: all posts, whatever their topics.
    pub topic: Option<String>,
    pub part: Option<(Dimension, String)>,
}

/// Mentions per interval (by its start), in order of time. Intervals without a mention are left out.
pub type SeriesCounts = BTreeMap<SeriesKey, Vec<(Timestamp, f64)>>;

impl SeriesKey {
    /// The topic as a whole.
    pub fn whole(topic: &str) -> Self {
        Self::of_topic(Some(topic))
    }

    /// All posts, whatever their topics.
    pub fn all_posts() -> Self {
        Self::of_topic(None)
    }

    /// A topic as a whole; none: all posts.
    pub fn of_topic(topic: Option<&str>) -> Self {
        Self { topic: topic.map(str::to_owned), part: None }
    }

    /// The whole that the series is a part of.
    pub fn as_whole(&self) -> Self {
        Self { topic: self.topic.clone(), part: None }
    }

    /// The name of the topic, for people and in stored anomalies.
    pub fn topic_name(&self) -> &str {
        self.topic.as_deref().unwrap_or(ALL_POSTS)
    }

    /// The category, if the series is one of a category.
    pub fn category(&self) -> Option<&str> {
        self.part.as_ref().filter(|(dimension, _)| *dimension == Dimension::Category).map(|(_, value)| value.as_str())
    }

    /// What the series is limited to, if it is not a category.
    pub fn slice(&self) -> Option<Slice> {
        let (dimension, value) = self.part.as_ref().filter(|(dimension, _)| *dimension != Dimension::Category)?;
        Some(Slice { dimension: *dimension, value: value.clone() })
    }
}
