//! Series: mentions per interval of a topic, or of the part of it with one value of a dimension.

use crate::analytics::Dimension;
use crate::anomaly::Slice;
use crate::clock::Timestamp;
use std::collections::BTreeMap;

/// The topic of the series over all posts, whatever their topics.
pub const ALL_POSTS: &str = "everything";

/// Dimensions that topics can be watched by, besides their categories: few values, one a post.
pub const WATCHED_DIMENSIONS: [Dimension; 4] =
    [Dimension::Sentiment, Dimension::Platform, Dimension::Language, Dimension::Country];

/// A topic as a whole, or its part with one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub topic: String,
    pub part: Option<(Dimension, String)>,
}

/// Mentions per interval (by its start), in order of time. Intervals without a mention are left out.
pub type SeriesCounts = BTreeMap<SeriesKey, Vec<(Timestamp, f64)>>;

impl SeriesKey {
    /// The topic as a whole.
    pub fn whole(topic: &str) -> Self {
        Self { topic: topic.to_owned(), part: None }
    }

    /// All posts, whatever their topics.
    pub fn all_posts() -> Self {
        Self::whole(ALL_POSTS)
    }

    /// A topic as a whole, or all posts.
    pub fn of_topic(topic: Option<&str>) -> Self {
        Self::whole(topic.unwrap_or(ALL_POSTS))
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
