//! Conditions and expressions of our own statements. This is the only place where a person's text becomes part of a
//! statement: every value passes through [`literal`] or [`pattern`]. A range of time names its days too, so that the
//! files of other days are left out at once.

use chrono::TimeDelta;
use domain::{Dimension, Selection, SeriesKey, TimeRange, Timestamp};

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The pattern of an `ILIKE` that finds a text anywhere.
pub(super) fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    literal(&format!("%{escaped}%"))
}

/// A time as a constant of the columns' own type, so that no column is cast row by row.
pub(super) fn time(at: Timestamp) -> String {
    format!("arrow_cast('{}', 'Timestamp(Microsecond, Some(\"UTC\"))')", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// Literals, with commas between.
pub(super) fn literals<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

fn lower(values: &[String]) -> String {
    values.iter().map(|value| literal(&value.to_lowercase())).collect::<Vec<_>>().join(", ")
}

/// Rows of posts within the range.
pub(super) fn in_range(range: TimeRange) -> String {
    time_in_range("occurred_at", range)
}

/// Rows whose event time, by which the table is partitioned, lies in the range.
pub(super) fn time_in_range(column: &str, range: TimeRange) -> String {
    let last = range.to - TimeDelta::microseconds(1);
    format!(
        "event_date BETWEEN DATE '{}' AND DATE '{}' AND {column} >= {} AND {column} < {}",
        range.from.date_naive(),
        last.date_naive(),
        time(range.from),
        time(range.to)
    )
}

/// Rows of `sentiment` that belong to a series.
pub(super) fn of_series(key: &SeriesKey) -> String {
    let topic = match &key.topic {
        None => "TRUE".to_owned(),
        Some(topic) => format!("array_has(topics, {})", literal(topic)),
    };
    match &key.part {
        Some((dimension, value)) => format!("{topic} AND {} = {}", dimension.name(), literal(value)),
        None => topic,
    }
}

/// The column of table `sentiment` for a dimension that has one value a post.
pub(super) fn column(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Topic | Dimension::Hashtag | Dimension::Entity | Dimension::Phrase => None,
        scalar => Some(scalar.name()),
    }
}

fn any_of_list(column: &str, values: &[String]) -> String {
    let each = values.iter().map(|value| format!("array_has({column}, {})", literal(value)));
    format!("({})", each.collect::<Vec<_>>().join(" OR "))
}

/// Conditions on table `sentiment` for a selection.
pub(super) fn posts_where(selection: &Selection) -> String {
    let mut conditions = vec![in_range(selection.range)];
    for (dimension, values) in &selection.any_of {
        conditions.push(post_condition(*dimension, values, selection.range));
    }
    for word in &selection.words {
        let pattern = pattern(word);
        conditions.push(format!("(text ILIKE {pattern} OR text_en ILIKE {pattern})"));
    }
    if selection.originals_only {
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
        Dimension::Entity => named_in("entities", "kind <> 'link' AND lower(entity)", values, range),
        Dimension::Phrase => named_in("key_phrases", "lower(phrase)", values, range),
        Dimension::Author => format!("lower(author) IN ({})", lower(values)),
        scalar => format!("{} IN ({})", scalar.name(), literals(values.iter().map(String::as_str))),
    }
}

fn named_in(table: &str, name: &str, values: &[String], range: TimeRange) -> String {
    format!("post_id IN (SELECT post_id FROM {table} WHERE {} AND {name} IN ({}))", in_range(range), lower(values))
}

/// Conditions on `entities` or `key_phrases` for a selection. Those tables have time, topics and sentiment themselves;
/// other conditions need the posts.
pub(super) fn named_where(selection: &Selection) -> String {
    let mut conditions = vec![in_range(selection.range)];
    let mut needs_posts = !selection.words.is_empty() || selection.originals_only;
    for (dimension, values) in &selection.any_of {
        match dimension {
            Dimension::Topic => conditions.push(any_of_list("topics", values)),
            Dimension::Sentiment => {
                conditions.push(format!("sentiment IN ({})", literals(values.iter().map(String::as_str))));
            }
            _ => needs_posts = true,
        }
    }
    if needs_posts {
        conditions.push(format!("post_id IN (SELECT post_id FROM sentiment WHERE {})", posts_where(selection)));
    }
    conditions.join(" AND ")
}

/// Counts of posts, all and by sentiment, as the columns `mentions, positive, negative, neutral, mixed`.
pub(super) const COUNTS: &str = "count(*) AS mentions, \
    count(*) FILTER (WHERE sentiment = 'positive') AS positive, \
    count(*) FILTER (WHERE sentiment = 'negative') AS negative, \
    count(*) FILTER (WHERE sentiment = 'neutral') AS neutral, \
    count(*) FILTER (WHERE sentiment = 'mixed') AS mixed";

/// [`COUNTS`] of parts added up.
pub(super) const SUMS: &str = "sum(mentions) AS mentions, sum(positive) AS positive, sum(negative) AS negative, \
    sum(neutral) AS neutral, sum(mixed) AS mixed";

/// The number of a row's interval, counted from `origin`, which no row precedes. Whole numbers are faster than
/// `date_bin`, which answers in nanoseconds.
pub(super) fn interval(origin: Timestamp, length: TimeDelta) -> String {
    let length_us = length.num_microseconds().unwrap_or(i64::MAX).max(1);
    format!("(CAST(occurred_at AS BIGINT) - {}) / {length_us}", origin.timestamp_micros())
}

/// The start of a row's [`interval`], as microseconds since 1970.
pub(super) fn interval_start(origin: Timestamp, step_s: i64) -> String {
    let number = interval(origin, TimeDelta::seconds(step_s));
    format!("{number} * {} + {}", step_s * 1_000_000, origin.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(any_of: &[(Dimension, &[&str])]) -> Selection {
        let time = |text: &str| text.parse().unwrap();
        let range = TimeRange { from: time("2026-11-20T00:00:00Z"), to: time("2026-11-22T00:00:00Z") };
        let values = |values: &&[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let any_of = any_of.iter().map(|(dimension, wanted)| (*dimension, values(wanted)));
        Selection { any_of: any_of.collect(), ..Selection::all(range) }
    }

    #[test]
    fn quotes_and_wildcards_of_a_text_stay_text() {
        assert_eq!(literal("O'Hare'; DROP TABLE raw; --"), "'O''Hare''; DROP TABLE raw; --'");
        assert_eq!(pattern("100%_\\'"), "'%100\\%\\_\\\\''%'");
    }

    #[test]
    fn every_range_names_its_days() {
        let sql = posts_where(&selection(&[(Dimension::Entity, &["United"])]));
        assert_eq!(sql.matches("event_date BETWEEN DATE '2026-11-20' AND DATE '2026-11-21'").count(), 2);
        assert_eq!(sql.matches("occurred_at >=").count(), 2);
    }

    #[test]
    fn values_of_one_dimension_are_any_of_them_and_dimensions_are_all() {
        let words = vec!["late".to_owned(), "lost bag".to_owned()];
        let any_of = selection(&[(Dimension::Topic, &["a", "it's"]), (Dimension::Language, &["en", "de"])]);
        let sql = posts_where(&Selection { words, originals_only: true, ..any_of });
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
    fn a_series_is_its_topic_and_its_part() {
        let part = Some((Dimension::Sentiment, "it's".to_owned()));
        assert_eq!(of_series(&SeriesKey { part, ..SeriesKey::all_posts() }), "TRUE AND sentiment = 'it''s'");
        assert_eq!(of_series(&SeriesKey::whole("late")), "array_has(topics, 'late')");
        assert_eq!(of_series(&SeriesKey::whole(domain::ALL_POSTS)), "array_has(topics, 'everything')");
    }

    #[test]
    fn entities_are_asked_without_the_posts_when_their_own_columns_do() {
        let sql = |any_of| named_where(&selection(any_of));
        assert!(!sql(&[(Dimension::Topic, &["a"]), (Dimension::Sentiment, &["negative"])]).contains("FROM sentiment"));
        assert!(sql(&[(Dimension::Topic, &["a"]), (Dimension::Language, &["en"])]).contains("FROM sentiment"));
        assert!(sql(&[(Dimension::Entity, &["United"])]).contains("lower(entity) IN ('united')"));
    }
}
