//! What a person looks at: time range, time zone and values of dimensions, read from the query of a URL and checked
//! before anything else sees them. A parameter that we do not know is refused, so that a typing error never widens an
//! answer.

use crate::error::Error;
use chrono::{DateTime, Duration, SubsecRound, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// What posts are grouped and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dimension {
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
    pub(crate) const ALL: [Self; 12] = [
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

    /// The word in URLs and answers.
    pub(crate) fn as_str(self) -> &'static str {
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

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == word)
    }
}

/// From (inclusive) to (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TimeRange {
    pub(crate) from: DateTime<Utc>,
    pub(crate) to: DateTime<Utc>,
}

impl TimeRange {
    pub(crate) fn length(&self) -> Duration {
        self.to - self.from
    }

    /// The stretch of the same length just before.
    pub(crate) fn previous(&self) -> Self {
        Self { from: self.from - self.length(), to: self.from }
    }
}

/// A checked filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) range: TimeRange,
    pub(crate) time_zone: Tz,
    /// Any of the values of a dimension; all of the dimensions.
    pub(crate) values: BTreeMap<Dimension, Vec<String>>,
    /// Words that all occur in the text or its translation.
    pub(crate) words: Vec<String>,
    /// Reposts are left out.
    pub(crate) originals_only: bool,
}

/// The parameters of a filter, as the OpenAPI document tells them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query for the OpenAPI document; Filter::parse reads it")]
pub(crate) struct FilterParams {
    /// Start, RFC 3339; a day before `to` when left out.
    #[param(inline)]
    from: Option<DateTime<Utc>>,
    /// End (exclusive), RFC 3339; now when left out.
    #[param(inline)]
    to: Option<DateTime<Utc>>,
    /// IANA time zone in which days begin, `UTC` when left out.
    tz: Option<String>,
    /// Name of a topic; may be given several times (any of them), as may all that follow.
    topic: Option<Vec<String>>,
    /// `positive`, `negative`, `neutral`, `mixed`.
    sentiment: Option<Vec<String>>,
    category: Option<Vec<String>>,
    /// ISO 639 code.
    language: Option<Vec<String>>,
    platform: Option<Vec<String>>,
    /// ISO 3166-1 alpha-2 code.
    country: Option<Vec<String>>,
    source: Option<Vec<String>>,
    /// Handle, without `@`.
    author: Option<Vec<String>>,
    place: Option<Vec<String>>,
    /// Without `#`.
    hashtag: Option<Vec<String>>,
    entity: Option<Vec<String>>,
    phrase: Option<Vec<String>>,
    /// Words that all occur in the text or its translation; "quoted words" stay together.
    q: Option<String>,
    /// `no` leaves reposts out.
    reposts: Option<String>,
}

const VALUES_MAX: usize = 50;
const VALUE_LENGTH_MAX: usize = 300;
const WORDS_MAX: usize = 20;
/// A range of ten years is more than any lake holds; absurd dates would only make absurd series.
const RANGE_DAYS_MAX: i64 = 3660;
/// The year 2200.
const TIME_MAX_S: i64 = 7_258_118_400;
/// Parameters that single endpoints read themselves.
const OTHERS: [&str; 15] = [
    "by",
    "limit",
    "cursor",
    "granularity",
    "group",
    "format",
    "ids_only",
    "bom",
    "id",
    "severity_min",
    "state",
    "sort",
    "category_any",
    "anomaly_id",
    "kind",
];

impl Filter {
    /// Reads the query of a URL.
    pub(crate) fn parse(query: &str, now: DateTime<Utc>) -> Result<Self, Error> {
        let mut filter = Self {
            range: TimeRange { from: now, to: now },
            time_zone: Tz::UTC,
            values: BTreeMap::new(),
            words: Vec::new(),
            originals_only: false,
        };
        let (mut from, mut to) = (None, None);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            check_value(&key, &value)?;
            match key.as_ref() {
                "from" => from = Some(parse_time("from", &value)?),
                "to" => to = Some(parse_time("to", &value)?),
                "tz" => filter.time_zone = parse_time_zone(&value)?,
                "q" => filter.words = split_words(&value)?,
                "reposts" => filter.originals_only = parse_reposts(&value)?,
                key => filter.take(key, &value)?,
            }
        }
        filter.range = checked_range(from, to, now)?;
        Ok(filter)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let Some(dimension) = Dimension::parse(key) else {
            return match OTHERS.contains(&key) {
                true => Ok(()),
                false => Err(Error::bad_field(key, format!("There is no parameter \"{key}\"."))),
            };
        };
        if value.is_empty() {
            return Err(Error::bad_field(key, format!("A {key} can't be empty.")));
        }
        if dimension == Dimension::Sentiment && !["positive", "negative", "neutral", "mixed"].contains(&value) {
            return Err(Error::bad_field(key, "A sentiment is positive, negative, neutral or mixed."));
        }
        let values = self.values.entry(dimension).or_default();
        if values.len() >= VALUES_MAX {
            return Err(Error::bad_field(key, format!("At most {VALUES_MAX} values of {key} can be asked for.")));
        }
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
        Ok(())
    }

    /// All posts, whenever they were written.
    pub(crate) fn everything() -> Self {
        let range =
            TimeRange { from: DateTime::UNIX_EPOCH, to: DateTime::from_timestamp(TIME_MAX_S, 0).unwrap_or_default() };
        Self { range, time_zone: Tz::UTC, values: BTreeMap::new(), words: Vec::new(), originals_only: false }
    }

    pub(crate) fn of(&self, dimension: Dimension) -> &[String] {
        self.values.get(&dimension).map_or(&[], Vec::as_slice)
    }

    /// The same filter without one dimension: for a share among all its values.
    pub(crate) fn without(&self, dimension: Dimension) -> Self {
        let mut filter = self.clone();
        filter.values.remove(&dimension);
        filter
    }

    pub(crate) fn within(&self, range: TimeRange) -> Self {
        Self { range, ..self.clone() }
    }
}

fn check_value(key: &str, value: &str) -> Result<(), Error> {
    if value.chars().count() > VALUE_LENGTH_MAX {
        return Err(Error::bad_field(key, format!("{key} is longer than {VALUE_LENGTH_MAX} characters.")));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::bad_field(key, format!("{key} holds control characters.")));
    }
    Ok(())
}

fn parse_time(field: &str, value: &str) -> Result<DateTime<Utc>, Error> {
    DateTime::parse_from_rfc3339(value).map(|time| time.to_utc().trunc_subsecs(6)).map_err(|_| {
        Error::bad_field(field, format!("{field} is no time of the form 2026-11-23T07:00:00Z (RFC 3339)."))
    })
}

fn parse_time_zone(value: &str) -> Result<Tz, Error> {
    value.parse().map_err(|_| Error::bad_field("tz", "tz is no time zone of the form Europe/Berlin."))
}

fn parse_reposts(value: &str) -> Result<bool, Error> {
    match value {
        "no" => Ok(true),
        "yes" => Ok(false),
        _ => Err(Error::bad_field("reposts", "reposts is yes or no.")),
    }
}

fn checked_range(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<TimeRange, Error> {
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(to - Duration::days(1));
    if from >= to {
        return Err(Error::bad_field("from", "The range ends before it begins: from must be before to."));
    }
    if to - from > Duration::days(RANGE_DAYS_MAX) {
        return Err(Error::bad_field("from", "The range is longer than ten years."));
    }
    if from.timestamp() < 0 || to.timestamp() > TIME_MAX_S {
        return Err(Error::bad_field("from", "The range must lie between the years 1970 and 2200."));
    }
    Ok(TimeRange { from, to })
}

/// Splits at white space; what stands in double quotes stays together.
fn split_words(text: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.trim().to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words.retain(|word| !word.is_empty());
    match words.len() > WORDS_MAX {
        true => Err(Error::bad_field("q", format!("At most {WORDS_MAX} words can be searched for."))),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T07:00:00Z".parse().unwrap()
    }

    #[track_caller]
    fn refused(query: &str) -> String {
        let error = Filter::parse(query, now()).unwrap_err();
        error.problem().field.clone().unwrap()
    }

    #[test]
    fn nothing_said_means_the_last_day() {
        let filter = Filter::parse("", now()).unwrap();
        assert_eq!(filter.range, TimeRange { from: now() - Duration::days(1), to: now() });
        assert!(filter.values.is_empty());
    }

    #[test]
    fn repeated_values_are_any_of_them_and_the_same_value_counts_once() {
        let filter = Filter::parse("topic=a+b&topic=c&topic=c&sentiment=negative", now()).unwrap();
        assert_eq!(filter.of(Dimension::Topic), ["a b", "c"]);
        assert_eq!(filter.of(Dimension::Sentiment), ["negative"]);
        assert!(filter.without(Dimension::Topic).of(Dimension::Topic).is_empty());
    }

    #[test]
    fn quoted_words_stay_together() {
        let filter = Filter::parse("q=late+%22lost+bag%22+%22%22", now()).unwrap();
        assert_eq!(filter.words, ["late", "lost bag"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(refused("form=2026-01-01"), "form");
        assert_eq!(refused("from=yesterday"), "from");
        assert_eq!(refused("from=2026-11-23T08:00:00Z"), "from");
        assert_eq!(refused("from=1960-01-01T00:00:00Z&to=1961-01-01T00:00:00Z"), "from");
        assert_eq!(refused("tz=Mars/Olympus"), "tz");
        assert_eq!(refused("sentiment=angry"), "sentiment");
        assert_eq!(refused("country="), "country");
        assert_eq!(refused("entity=a%00b"), "entity");
        assert_eq!(refused(&format!("phrase={}", "x".repeat(301))), "phrase");
        assert_eq!(refused("reposts=maybe"), "reposts");
        let many: String = (0..=VALUES_MAX).map(|n| format!("author=a{n}&")).collect();
        assert_eq!(refused(&many), "author");
    }

    #[test]
    fn the_previous_range_is_as_long_and_just_before() {
        let range = Filter::parse("from=2026-11-20T00:00:00Z&to=2026-11-22T00:00:00Z", now()).unwrap().range;
        let previous = range.previous();
        assert_eq!((previous.to, previous.length()), (range.from, range.length()));
    }
}
