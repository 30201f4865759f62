//! What is counted: a topic, or the part of it with one value of a dimension.

use domain::Slice;

/// Name of the series over everything that comes in, whatever the topic.
pub const EVERYTHING: &str = "everything";

/// A property of posts with few values, by which topics are watched in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    Category,
    Sentiment,
    Platform,
    Language,
    Country,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 5] = [Self::Category, Self::Sentiment, Self::Platform, Self::Language, Self::Country];

    /// Its name, which is the column's too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Sentiment => "sentiment",
            Self::Platform => "platform",
            Self::Language => "language",
            Self::Country => "country",
        }
    }

    /// The dimension of a name; none: there is no such dimension.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == name)
    }
}

/// A topic as a whole, or its part with one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    pub topic: String,
    pub part: Option<(Dimension, String)>,
}

impl SeriesKey {
    /// The topic as a whole.
    pub fn whole(topic: &str) -> Self {
        Self { topic: topic.to_owned(), part: None }
    }

    /// The category, where the series is one of a category.
    pub(super) fn category(&self) -> Option<&str> {
        self.part.as_ref().filter(|(dimension, _)| *dimension == Dimension::Category).map(|(_, value)| value.as_str())
    }

    /// What the series is limited to, where it is not a category.
    pub(super) fn slice(&self) -> Option<Slice> {
        let (dimension, value) = self.part.as_ref().filter(|(dimension, _)| *dimension != Dimension::Category)?;
        Some(Slice { dimension: dimension.as_str().to_owned(), value: value.clone() })
    }

    /// Its name for people: `late flight`, `late flight: negative`, `late flight: country US`.
    pub(super) fn subject(&self) -> String {
        match &self.part {
            None => self.topic.clone(),
            Some((dimension @ (Dimension::Language | Dimension::Country), value)) => {
                format!("{}: {} {value}", self.topic, dimension.as_str())
            }
            Some((_, value)) => format!("{}: {value}", self.topic),
        }
    }

    /// The part of an anomaly's id that tells the series.
    pub(super) fn id(&self) -> String {
        match &self.part {
            None => format!("{}/", self.topic),
            Some((Dimension::Category, value)) => format!("{}/{value}", self.topic),
            Some((dimension, value)) => format!("{}/{}={value}", self.topic, dimension.as_str()),
        }
    }
}
