//! Checked filters to SQL over the tables of the lake. This is the only place where text of a person becomes part of a
//! statement: every value passes [`literal`] or [`pattern`], every condition on time has its `event_date` twin beside
//! it, so that only the files of those days are read.

use crate::filter::{Dimension, Filter, TimeRange};
use chrono::{Duration, NaiveTime, TimeZone};
use chrono_tz::Tz;
use domain::{Selection, Timestamp};

/// A text as a SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text to be found anywhere, as the literal pattern of an `ILIKE`.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    literal(&format!("%{escaped}%"))
}

/// A time as a constant of the column's own type, so that no column is cast row by row.
pub(crate) fn time(at: Timestamp) -> String {
    format!("arrow_cast('{}', 'Timestamp(Microsecond, Some(\"UTC\"))')", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

fn list(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<_>>().join(", ")
}

/// Rows within the range, for every table that has `occurred_at` and `event_date`.
pub(crate) fn in_range(range: TimeRange) -> String {
    let last = range.to - Duration::microseconds(1);
    format!(
        "event_date BETWEEN DATE '{}' AND DATE '{}' AND occurred_at >= {} AND occurred_at < {}",
        range.from.date_naive(),
        last.date_naive(),
        time(range.from),
        time(range.to)
    )
}

/// The column of a dimension in table `sentiment`, where it has one value a post.
pub(crate) fn column(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Sentiment => Some("sentiment"),
        Dimension::Category => Some("category"),
        Dimension::Language => Some("language"),
        Dimension::Platform => Some("platform"),
        Dimension::Country => Some("country"),
        Dimension::Source => Some("source"),
        Dimension::Author => Some("author"),
        Dimension::Place => Some("place"),
        Dimension::Topic | Dimension::Hashtag | Dimension::Entity | Dimension::Phrase => None,
    }
}

fn any_of_list(column: &str, values: &[String]) -> String {
    let each = values.iter().map(|value| format!("array_has({column}, {})", literal(value)));
    format!("({})", each.collect::<Vec<_>>().join(" OR "))
}

fn lower(values: &[String]) -> String {
    list(values.iter().map(|value| literal(&value.to_lowercase())))
}

/// The filter without SQL, for counting; none when it asks for words, which only the texts can tell.
pub(crate) fn selection(filter: &Filter) -> Option<Selection> {
    let any_of = filter.values.iter().map(|(dimension, values)| (counted(*dimension), values.clone()));
    filter.words.is_empty().then(|| Selection {
        from: filter.range.from,
        to: filter.range.to,
        any_of: any_of.collect(),
        originals_only: filter.originals_only,
    })
}

/// The dimension in the words of the house.
pub(crate) fn counted(dimension: Dimension) -> domain::Dimension {
    match dimension {
        Dimension::Topic => domain::Dimension::Topic,
        Dimension::Sentiment => domain::Dimension::Sentiment,
        Dimension::Category => domain::Dimension::Category,
        Dimension::Language => domain::Dimension::Language,
        Dimension::Platform => domain::Dimension::Platform,
        Dimension::Country => domain::Dimension::Country,
        Dimension::Source => domain::Dimension::Source,
        Dimension::Author => domain::Dimension::Author,
        Dimension::Place => domain::Dimension::Place,
        Dimension::Hashtag => domain::Dimension::Hashtag,
        Dimension::Entity => domain::Dimension::Entity,
        Dimension::Phrase => domain::Dimension::Phrase,
    }
}

/// Conditions on table `sentiment` for the filter.
pub(crate) fn posts_where(filter: &Filter) -> String {
    let mut conditions = vec![in_range(filter.range)];
    for (dimension, values) in &filter.values {
        conditions.push(post_condition(*dimension, values, filter.range));
    }
    for word in &filter.words {
        let pattern = pattern(word);
        conditions.push(format!("(text ILIKE {pattern} OR text_en ILIKE {pattern})"));
    }
    if filter.originals_only {
        conditions.push("repost_of IS NULL".into());
    }
    conditions.join(" AND ")
}

fn post_condition(dimension: Dimension, values: &[String], range: TimeRange) -> String {
    match dimension {
        Dimension::Topic => any_of_list("topics", values),
        Dimension::Hashtag => {
            let spellings: Vec<String> = values.iter().flat_map(|tag| [tag.clone(), tag.to_lowercase()]).collect();
            any_of_list("hashtags", &spellings)
        }
        // Of links there is no end, and nobody looks for one among the entities.
        Dimension::Entity => named_in("entities", "kind <> 'link' AND lower(entity)", values, range),
        Dimension::Phrase => named_in("key_phrases", "lower(phrase)", values, range),
        Dimension::Author => format!("lower(author) IN ({})", lower(values)),
        scalar => format!("{} IN ({})", column(scalar).unwrap_or("NULL"), list(values.iter().map(|v| literal(v)))),
    }
}

fn named_in(table: &str, name: &str, values: &[String], range: TimeRange) -> String {
    format!("post_id IN (SELECT post_id FROM {table} WHERE {} AND {name} IN ({}))", in_range(range), lower(values))
}

/// Conditions on `entities` or `key_phrases`: those tables carry time, topics and sentiment themselves; whatever else
/// is asked for needs the posts.
pub(crate) fn named_where(filter: &Filter) -> String {
    let mut conditions = vec![in_range(filter.range)];
    let mut needs_posts = !filter.words.is_empty() || filter.originals_only;
    for (dimension, values) in &filter.values {
        match dimension {
            Dimension::Topic => conditions.push(any_of_list("topics", values)),
            Dimension::Sentiment => {
                conditions.push(format!("sentiment IN ({})", list(values.iter().map(|v| literal(v)))));
            }
            _ => needs_posts = true,
        }
    }
    if needs_posts {
        conditions.push(format!("post_id IN (SELECT post_id FROM sentiment WHERE {})", posts_where(filter)));
    }
    conditions.join(" AND ")
}

/// Counts of posts, all and by sentiment, as the columns `mentions, positive, negative, neutral, mixed`.
pub(crate) const COUNTS: &str = "count(*) AS mentions, \
    count(*) FILTER (WHERE sentiment = 'positive') AS positive, \
    count(*) FILTER (WHERE sentiment = 'negative') AS negative, \
    count(*) FILTER (WHERE sentiment = 'neutral') AS neutral, \
    count(*) FILTER (WHERE sentiment = 'mixed') AS mixed";

/// [`COUNTS`] of parts added up.
pub(crate) const SUMS: &str = "sum(mentions) AS mentions, sum(positive) AS positive, sum(negative) AS negative, \
    sum(neutral) AS neutral, sum(mixed) AS mixed";

/// Lengths that an interval of a series can have, seconds.
const GRANULARITIES_S: [i64; 12] =
    [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400];

/// The shortest interval that gives at most about a hundred points.
pub(crate) fn granularity_s(range: TimeRange) -> i64 {
    let seconds = range.length().num_seconds();
    GRANULARITIES_S.into_iter().find(|step| seconds <= step * 110).unwrap_or(90 * 86_400)
}

/// Where intervals begin: midnight of the person's zone at the start of the range. (A change of the clocks within the
/// range moves the days after it by that hour.)
pub(crate) fn origin(range: TimeRange, time_zone: Tz) -> Timestamp {
    let local = range.from.with_timezone(&time_zone).date_naive();
    let midnight = local.and_time(NaiveTime::MIN);
    time_zone.from_local_datetime(&midnight).earliest().map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}

/// The interval of a row, as microseconds since 1970. Whole numbers rather than `date_bin`, which answers in nanoseconds;
/// no row lies before the origin.
pub(crate) fn bucket(step_s: i64, origin: Timestamp) -> String {
    let (origin, step) = (origin.timestamp_micros(), step_s * 1_000_000);
    format!("(CAST(occurred_at AS BIGINT) - {origin}) / {step} * {step} + {origin}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Filter {
        Filter::parse(query, "2026-11-23T07:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn quotes_and_wildcards_of_a_text_stay_text() {
        assert_eq!(literal("O'Hare'; DROP TABLE raw; --"), "'O''Hare''; DROP TABLE raw; --'");
        assert_eq!(pattern("100%_\\'"), "'%100\\%\\_\\\\''%'");
    }

    #[test]
    fn every_condition_on_time_names_the_days() {
        let sql = posts_where(&filter("from=2026-11-20T00:00:00Z&to=2026-11-22T00:00:00Z&entity=United"));
        assert_eq!(sql.matches("event_date BETWEEN DATE '2026-11-20' AND DATE '2026-11-21'").count(), 2);
        assert_eq!(sql.matches("occurred_at >=").count(), 2);
    }

    #[test]
    fn values_of_one_dimension_are_any_of_them_and_dimensions_are_all() {
        let sql = posts_where(&filter("topic=a&topic=it's&language=en&language=de&q=late+%22lost+bag%22&reposts=no"));
        for part in [
            "(array_has(topics, 'a') OR array_has(topics, 'it''s'))",
            "language IN ('en', 'de')",
            "(text ILIKE '%late%' OR text_en ILIKE '%late%')",
            "(text ILIKE '%lost bag%' OR text_en ILIKE '%lost bag%')",
            "repost_of IS NULL",
        ] {
            assert!(sql.contains(&format!(" AND {part}")), "{part} is not in {sql}");
        }
    }

    #[test]
    fn entities_are_asked_without_the_posts_when_their_own_columns_do() {
        assert!(!named_where(&filter("topic=a&sentiment=negative")).contains("FROM sentiment"));
        assert!(named_where(&filter("topic=a&language=en")).contains("FROM sentiment"));
        assert!(named_where(&filter("entity=United")).contains("lower(entity) IN ('united')"));
    }

    #[test]
    fn a_series_has_at_most_about_a_hundred_points() {
        let step = |query: &str| granularity_s(filter(query).range);
        assert_eq!(step("from=2026-11-23T06:00:00Z"), 60);
        assert_eq!(step(""), 900);
        assert_eq!(step("from=2026-11-16T07:00:00Z"), 3 * 3600);
        assert_eq!(step("from=2026-10-23T07:00:00Z"), 12 * 3600);
        assert_eq!(step("from=2016-11-24T07:00:00Z"), 90 * 86_400);
    }

    #[test]
    fn days_begin_at_midnight_of_the_persons_zone() {
        let filter = filter("from=2026-11-20T12:00:00Z&tz=America/New_York");
        assert_eq!(origin(filter.range, filter.time_zone).to_rfc3339(), "2026-11-20T05:00:00+00:00");
    }
}
