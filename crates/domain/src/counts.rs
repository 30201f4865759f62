//! The questions that are put again and again: how many posts there are of each kind in a stretch of time. They can be
//! said in SQL as well; said here, a store may answer them from what it holds in memory.

use crate::clock::Timestamp;

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
