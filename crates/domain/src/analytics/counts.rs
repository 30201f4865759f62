//! Questions that count posts, and their answers.

use super::dimension::Dimension;
use super::selection::Selection;
use crate::clock::Timestamp;
use crate::enrichment::EntityKind;
use crate::error::{Error, Result};
use serde::Serialize;

/// Posts, in all and by sentiment. Posts without a sentiment are in `mentions` only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub mentions: u64,
    pub positive: u64,
    pub negative: u64,
    pub neutral: u64,
    pub mixed: u64,
}

/// How much and how was it talked about before `since`, and from then on?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TotalsQuery {
    pub selection: Selection,
    pub since: Timestamp,
}

/// What is counted of some posts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub counts: Counts,
    /// Different authors, by their id and otherwise by their name.
    pub authors: u64,
    /// The sum of the posts' reach.
    pub reach: u64,
}

/// Totals before and from a moment on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ComparedTotals {
    pub before: Totals,
    pub since: Totals,
}

/// How many mentions were there in each interval, by the values of a dimension? Intervals begin at `origin` and every
/// `step_s` seconds after it; no selected post is older than `origin`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SeriesQuery {
    pub selection: Selection,
    /// One of [`SeriesQuery::DIMENSIONS`].
    pub by: Dimension,
    pub origin: Timestamp,
    pub step_s: i64,
}

impl SeriesQuery {
    /// What is wrong with the question.
    pub fn check(&self) -> Result<()> {
        match Self::DIMENSIONS.contains(&self.by) {
            true => Ok(()),
            false => {
                let known = Self::DIMENSIONS.map(Dimension::name).join(", ");
                Err(Error::reject(format!("a series by {} has too many values (use one of {known})", self.by)))
            }
        }
    }

    /// The dimensions with few values.
    pub const DIMENSIONS: [Dimension; 6] = [
        Dimension::Sentiment,
        Dimension::Category,
        Dimension::Language,
        Dimension::Platform,
        Dimension::Country,
        Dimension::Topic,
    ];
}

/// Mentions of a value in one interval. Intervals without a mention are left out, and by topic, posts without a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesPoint {
    /// Start of the interval.
    pub at: Timestamp,
    /// None: the value is not known.
    pub value: Option<String>,
    pub mentions: u64,
}

/// Which values of a dimension have the most mentions? Posts without a value are left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct BreakdownQuery {
    pub selection: Selection,
    pub by: Dimension,
    pub limit: usize,
}

/// Posts with one value. The most mentions first, then by value.
///
/// Entities and phrases that differ only in case are one item under their most frequent spelling, and each occurrence
/// counts. Of the entities, hashtags, mentions, links, cashtags and emoji are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakdownItem {
    pub value: String,
    /// The most frequent kind of an entity.
    pub kind: Option<EntityKind>,
    pub counts: Counts,
}

/// The kinds of entities that a breakdown counts.
pub const COUNTED_KINDS: [EntityKind; 6] = [
    EntityKind::Person,
    EntityKind::Organisation,
    EntityKind::Location,
    EntityKind::Product,
    EntityKind::Work,
    EntityKind::Event,
];

/// How many mentions come from each country?
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct CountriesQuery {
    pub selection: Selection,
}

/// Mentions from a country, in no order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountryCount {
    /// ISO 3166-1, two letters. None: the country is not known.
    pub country: Option<String>,
    pub counts: Counts,
}

/// Which places have the most mentions? Whole countries are left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PlacesQuery {
    pub selection: Selection,
    pub limit: usize,
}

/// Mentions from a place. The most mentions first, then by name, region and country, those that are not known first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceCount {
    pub place: String,
    pub region: Option<String>,
    pub country: Option<String>,
    /// Mean of the posts.
    pub lat: f64,
    pub lon: f64,
    pub counts: Counts,
}

/// How often was each topic mentioned in the seven days, and in the last day, before `to`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct TopicVolumesQuery {
    pub to: Timestamp,
}

/// Mentions of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicVolume {
    pub topic: String,
    pub day: u64,
    pub week: u64,
    pub newest_at: Timestamp,
}
