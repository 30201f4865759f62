//! Which posts a question is about: a time range, values of dimensions, and words of the text.

use super::dimension::Dimension;
use crate::clock::Timestamp;
use crate::enriched::EnrichedPost;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From (inclusive) to (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TimeRange {
    // Not `Timestamp`: the schema is derived from the name of the type.
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl TimeRange {
    /// The range that holds this moment alone. Times are kept in microseconds.
    pub fn at(moment: Timestamp) -> Self {
        Self { from: moment, to: moment + TimeDelta::microseconds(1) }
    }

    pub fn length(&self) -> TimeDelta {
        self.to - self.from
    }

    /// The range of the same length that ends where this one begins.
    pub fn previous(&self) -> Self {
        Self { from: self.from - self.length(), to: self.from }
    }

    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// Which posts are meant. A post must meet every condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Selection {
    /// When it was published.
    pub range: TimeRange,
    /// One of the values of each dimension.
    pub any_of: BTreeMap<Dimension, Vec<String>>,
    /// Words that all occur in the text or in its translation, in upper or lower case.
    pub words: Vec<String>,
    /// Reposts are left out.
    pub originals_only: bool,
}

impl Selection {
    /// Every post of a time range.
    pub fn all(range: TimeRange) -> Self {
        Self { range, any_of: BTreeMap::new(), words: Vec::new(), originals_only: false }
    }

    /// The same selection in another time range.
    pub fn within(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// The same selection with any value of one dimension, for a share among all its values.
    pub fn without(&self, dimension: Dimension) -> Self {
        let mut selection = self.clone();
        selection.any_of.remove(&dimension);
        selection
    }

    /// The values of a dimension that are asked for; empty: any.
    pub fn of(&self, dimension: Dimension) -> &[String] {
        self.any_of.get(&dimension).map_or(&[], Vec::as_slice)
    }

    /// Whether a post meets the conditions other than the time range.
    pub fn matches(&self, enriched: &EnrichedPost) -> bool {
        let has_value = |(dimension, wanted): (&Dimension, &Vec<String>)| {
            let folded = |value: &String| if dimension.ignores_case() { value.to_lowercase() } else { value.clone() };
            let wanted: Vec<String> = wanted.iter().map(folded).collect();
            dimension.values(enriched).iter().any(|value| wanted.contains(&folded(value)))
        };
        let text = enriched.post.text.to_lowercase();
        let text_en = enriched.enrichment.text_en.as_deref().unwrap_or("").to_lowercase();
        let has_word = |word: &String| text.contains(&word.to_lowercase()) || text_en.contains(&word.to_lowercase());
        !(self.originals_only && enriched.post.repost_of.is_some())
            && self.any_of.iter().all(has_value)
            && self.words.iter().all(has_word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_range_is_as_long_and_just_before() {
        let time = |text: &str| text.parse().unwrap();
        let range = TimeRange { from: time("2026-11-20T00:00:00Z"), to: time("2026-11-22T00:00:00Z") };
        let previous = range.previous();
        assert_eq!((previous.to, previous.length()), (range.from, range.length()));
        assert!(range.contains(range.from) && !range.contains(range.to));
    }
}
