//! The questions that are put again and again: how many posts there are of each kind in a stretch of time. They can be
//! said in SQL as well; said here, a store may answer them from what it holds in memory.

use crate::clock::Timestamp;
use crate::error::Error;
use std::str::FromStr;

/// What posts are counted and chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    Topic,
    Sentiment,
    Category,
    Language,
    Platform,
    Country,
    Source,
    Author,
    Place,
    Hashtag,
    Entity,
    Phrase,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 12] = [
        Self::Topic,
        Self::Sentiment,
        Self::Category,
        Self::Language,
        Self::Platform,
        Self::Country,
        Self::Source,
        Self::Author,
        Self::Place,
        Self::Hashtag,
        Self::Entity,
        Self::Phrase,
    ];

    /// Its name in URLs, answers and stored documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Sentiment => "sentiment",
            Self::Category => "category",
            Self::Language => "language",
            Self::Platform => "platform",
            Self::Country => "country",
            Self::Source => "source",
            Self::Author => "author",
            Self::Place => "place",
            Self::Hashtag => "hashtag",
            Self::Entity => "entity",
            Self::Phrase => "phrase",
        }
    }
}

impl FromStr for Dimension {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|dimension| dimension.name() == name);
        found.ok_or_else(|| Error::reject(format!("unknown dimension {name:?}")))
    }
}

/// Which posts are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// One of the values of each dimension. Authors, entities and phrases are compared without regard to case.
    pub any_of: Vec<(Dimension, Vec<String>)>,
    /// Reposts don't count.
    pub originals_only: bool,
}

/// What is asked of the posts; each is answered in rows with the columns named. *Counts* are `mentions`, `positive`,
/// `negative`, `neutral`, `mixed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Before and after a moment: `current`, counts, `authors` (different ones), `reach`.
    Totals { since: Timestamp },
    /// Over time: `at_us` (start of the interval, microseconds since 1970), `value`, `mentions`.
    Series { by: Dimension, origin: Timestamp, step_s: i64 },
    /// The most frequent values, then by name: `value`, `kind` (of entities), counts. Entities and phrases that differ
    /// in case alone are one, and each occurrence counts.
    Breakdown { by: Dimension, limit: usize },
    /// Of each country, and of none: `country`, counts.
    Countries,
    /// Of the most frequent places: `place`, `region`, `country`, `lat`, `lon`, counts.
    Places { limit: usize },
    /// When the so many-th newest was written, or the oldest if there are fewer: `at_us`; no row where there is no post.
    NthNewest { nth: usize },
}
