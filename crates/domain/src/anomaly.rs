//! What was noticed: a change in the volume of mentions, how large against what was expected, and why.

use crate::analytics::Dimension;
use crate::clock::Timestamp;
use crate::error::Result;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// How much attention an anomaly deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = SeverityView))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// The part of a topic's mentions with one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice {
    /// One of [`crate::WATCHED_DIMENSIONS`].
    pub dimension: Dimension,
    pub value: String,
}

/// One incident on one series, from its onset to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Stable: the same series and onset give the same id.
    pub id: String,
    pub topic: String,
    /// None: the topic as a whole, or the slice.
    pub category: Option<String>,
    /// What the series is limited to, where it is not a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// Length of the counting interval, seconds.
    pub interval_s: u32,
    /// Start of the first interval out of line.
    pub onset: Timestamp,
    /// End of the last interval out of line; none while it goes on.
    pub end: Option<Timestamp>,
    /// Mentions in the peak interval.
    pub observed: f64,
    /// What was expected there, with the interval that was normal.
    pub expected: f64,
    pub lower: f64,
    pub upper: f64,
    /// 0 to 1; means the same on small and large series.
    pub score: f64,
    pub severity: Severity,
    /// One sentence for people.
    pub sentence: String,
    pub drivers: Vec<Driver>,
    pub examples: Vec<ExamplePost>,
    pub detected_at: Timestamp,
}

/// A value of a dimension that makes up part of the excess.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Driver {
    /// Stored by its [`driver_name`].
    #[serde(with = "stored_dimension")]
    pub dimension: Dimension,
    pub value: String,
    pub observed: f64,
    pub expected: f64,
    /// Share of the excess that it explains, 0 to 1.
    pub contribution: f64,
    /// Never seen in the baseline.
    #[serde(default)]
    pub new: bool,
}

/// The name of a driver's dimension in stored anomalies and in answers: phrases are `key_phrase`, as their table.
pub fn driver_name(dimension: Dimension) -> &'static str {
    if dimension == Dimension::Phrase { KEY_PHRASE } else { dimension.name() }
}

const KEY_PHRASE: &str = "key_phrase";

mod stored_dimension {
    use super::{Dimension, KEY_PHRASE, driver_name};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(dimension: &Dimension, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(driver_name(*dimension))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Dimension, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            KEY_PHRASE => Ok(Dimension::Phrase),
            name => name.parse().map_err(D::Error::custom),
        }
    }
}

/// A post that shows what an anomaly is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExamplePost {
    pub post_id: String,
    pub text: String,
    pub url: Option<String>,
    pub sentiment: Option<String>,
    /// Posts in the window that say nearly the same, this one included.
    #[serde(default)]
    pub copies: u32,
}

/// Told of every anomaly that opens, grows, ends or is explained, after it is stored. Called at least once per change.
#[async_trait]
pub trait AnomalyListener: Send + Sync {
    async fn observe(&self, anomalies: Vec<Anomaly>, now: Timestamp) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_stored_under_the_names_of_earlier_versions() {
        for (dimension, name) in [(Dimension::Phrase, "key_phrase"), (Dimension::Author, "author")] {
            let stored = serde_json::json!({
                "dimension": name, "value": "snow", "observed": 9.0, "expected": 1.0, "contribution": 0.5, "new": false
            });
            let driver: Driver = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(driver.dimension, dimension);
            assert_eq!(serde_json::to_value(driver).unwrap(), stored);
        }
        let slice = Slice { dimension: Dimension::Country, value: "DE".into() };
        assert_eq!(serde_json::to_value(slice).unwrap(), serde_json::json!({"dimension": "country", "value": "DE"}));
    }
}
