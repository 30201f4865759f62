//! What a person looks at: time range, time zone and values of dimensions, read from the query of a URL and checked
//! before anything else sees them. A parameter that we do not know is refused, so that a typing error never widens an
//! answer.

use crate::error::Error;
use chrono::{DateTime, Duration, SubsecRound, Utc};
use chrono_tz::Tz;
use domain::{Dimension, Selection, TimeRange, varieties};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Required};

/// A checked filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) selection: Selection,
    /// Where days begin at midnight.
    pub(crate) time_zone: Tz,
}

/// The parameters of a filter, for the OpenAPI document.
pub(crate) struct FilterParams;

impl IntoParams for FilterParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        };
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let mut parameters = vec![
            parameter("from", Some("Start, RFC 3339 (default: 24 hours before `to`)."), time()),
            parameter("to", Some("End (exclusive), RFC 3339 (default: now)."), time()),
            parameter("tz", Some("IANA time zone in which days begin (default: UTC)."), text()),
        ];
        let values =
            |dimension: Dimension| parameter(dimension.name(), dimension.about(), ArrayBuilder::new().items(text()));
        parameters.extend(Dimension::ALL.map(values));
        let words = "Words that must all occur in the text or its translation; quote phrases.";
        parameters.push(parameter("q", Some(words), text()));
        parameters.push(parameter("reposts", Some("`no` excludes reposts."), text()));
        parameters
    }
}

fn parameter(name: &str, about: Option<&str>, schema: impl Into<RefOr<Schema>>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(about)
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

const VALUES_MAX: usize = 50;
const VALUE_LENGTH_MAX: usize = 300;
const WORDS_MAX: usize = 20;
/// A range of ten years is more than any lake holds; absurd dates would only make absurd series.
pub(crate) const RANGE_DAYS_MAX: i64 = 3660;
/// The year 2200.
const TIME_MAX_S: i64 = 7_258_118_400;

/// Whether a moment must be between the years 1970 and 2200. Sums with times far beyond them overflow.
pub(crate) fn is_plausible(at: DateTime<Utc>) -> bool {
    (0..=TIME_MAX_S).contains(&at.timestamp())
}

/// The time of a post, where a person names it as `at`.
pub(crate) fn checked_at(at: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Error> {
    match at.is_none_or(is_plausible) {
        true => Ok(at),
        false => Err(Error::bad_field("at", "at must lie between the years 1970 and 2200.")),
    }
}

impl Filter {
    /// Reads the query of a URL. `own` are the parameters that the endpoint reads itself.
    pub(crate) fn parse(query: &str, own: &[&str], now: DateTime<Utc>) -> Result<Self, Error> {
        let mut filter = Self { selection: Selection::all(TimeRange { from: now, to: now }), time_zone: Tz::UTC };
        let (mut from, mut to) = (None, None);
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            check_value(&key, &value)?;
            match key.as_ref() {
                "from" => from = Some(parse_time("from", &value)?),
                "to" => to = Some(parse_time("to", &value)?),
                "tz" => filter.time_zone = parse_time_zone(&value)?,
                "q" => filter.selection.words = split_words(&value)?,
                "reposts" => filter.selection.originals_only = parse_reposts(&value)?,
                key if own.contains(&key) => {}
                key => filter.take(key, &value)?,
            }
        }
        filter.selection.range = checked_range(from, to, now)?;
        Ok(filter)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let unknown = |_| Error::bad_field(key, format!("There is no parameter \"{key}\"."));
        let dimension: Dimension = key.parse().map_err(unknown)?;
        if value.is_empty() {
            return Err(Error::bad_field(key, format!("A {key} can't be empty.")));
        }
        if dimension == Dimension::Sentiment && !["positive", "negative", "neutral", "mixed"].contains(&value) {
            return Err(Error::bad_field(key, "A sentiment is positive, negative, neutral or mixed."));
        }
        let values = self.selection.any_of.entry(dimension).or_default();
        if values.len() >= VALUES_MAX {
            return Err(Error::bad_field(key, format!("At most {VALUES_MAX} values of {key} can be asked for.")));
        }
        let varieties = varieties(value).filter(|_| dimension == Dimension::Language);
        for meant in [value].into_iter().chain(varieties) {
            if !values.iter().any(|known| known == meant) {
                values.push(meant.to_owned());
            }
        }
        Ok(())
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
        Error::bad_field(field, format!("{field} must be a time such as 2026-11-23T07:00:00Z (RFC 3339)."))
    })
}

fn parse_time_zone(value: &str) -> Result<Tz, Error> {
    value.parse().map_err(|_| Error::bad_field("tz", "tz must be an IANA time zone such as Europe/Berlin."))
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
    if !is_plausible(from) || !is_plausible(to) {
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
        let error = Filter::parse(query, &[], now()).unwrap_err();
        error.problem().field.clone().unwrap()
    }

    #[test]
    fn nothing_said_means_the_last_day() {
        let selection = Filter::parse("", &[], now()).unwrap().selection;
        assert_eq!(selection, Selection::all(TimeRange { from: now() - Duration::days(1), to: now() }));
    }

    #[test]
    fn repeated_values_are_any_of_them_and_the_same_value_counts_once() {
        let selection = Filter::parse("topic=a+b&topic=c&topic=c&sentiment=negative", &[], now()).unwrap().selection;
        assert_eq!(selection.of(Dimension::Topic), ["a b", "c"]);
        assert_eq!(selection.of(Dimension::Sentiment), ["negative"]);
        assert!(selection.without(Dimension::Topic).of(Dimension::Topic).is_empty());
    }

    #[test]
    fn a_language_includes_its_varieties() {
        let languages = |query| Filter::parse(query, &[], now()).unwrap().selection.of(Dimension::Language).to_vec();
        assert_eq!(languages("language=no"), ["no", "nb", "nn"]);
        assert_eq!(languages("language=nb"), ["nb"]);
        assert_eq!(languages("language=hi-Latn&language=hi"), ["hi-Latn", "hi"]);
        assert!(Filter::parse("hashtag=no", &[], now()).unwrap().selection.of(Dimension::Language).is_empty());
    }

    #[test]
    fn quoted_words_stay_together() {
        let filter = Filter::parse("q=late+%22lost+bag%22+%22%22", &[], now()).unwrap();
        assert_eq!(filter.selection.words, ["late", "lost bag"]);
    }

    #[test]
    fn a_parameter_is_known_to_the_endpoint_that_reads_it_only() {
        assert!(Filter::parse("by=topic", &["by"], now()).is_ok());
        assert_eq!(refused("by=topic"), "by");
        assert_eq!(refused("sort=newest"), "sort");
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
}
