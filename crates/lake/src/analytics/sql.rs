//! Text, times and conditions as SQL. Every text from outside passes [`literal`] or [`pattern`]; every condition on time
//! names the partition's days as well, so that other files are not read.

use chrono::TimeDelta;
use domain::{ALL_POSTS, SeriesKey, TimeRange, Timestamp};

/// A text as a SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text to be found anywhere, as the literal pattern of an `ILIKE`.
pub(super) fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    literal(&format!("%{escaped}%"))
}

/// A time as a constant of the column's own type, so that no column is cast row by row.
pub(super) fn time(at: Timestamp) -> String {
    format!("arrow_cast('{}', 'Timestamp(Microsecond, Some(\"UTC\"))')", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// Rows within a range, for every table that has `occurred_at` and `event_date`.
pub(super) fn in_range(range: TimeRange) -> String {
    format!(
        "event_date BETWEEN DATE '{}' AND DATE '{}' AND occurred_at >= {} AND occurred_at < {}",
        range.from.date_naive(),
        (range.to - TimeDelta::microseconds(1)).date_naive(),
        time(range.from),
        time(range.to),
    )
}

/// Rows of `sentiment` that belong to a series.
pub(super) fn of_series(key: &SeriesKey) -> String {
    let topic = match key.topic.as_str() {
        ALL_POSTS => "TRUE".to_owned(),
        topic => format!("array_has(topics, {})", literal(topic)),
    };
    match &key.part {
        Some((dimension, value)) => format!("{topic} AND {} = {}", dimension.name(), literal(value)),
        None => topic,
    }
}

/// The number of a row's interval, counted from `origin`, which no row precedes. Whole numbers are faster than `date_bin`.
pub(super) fn interval(origin: Timestamp, length: TimeDelta) -> String {
    let length_us = length.num_microseconds().unwrap_or(i64::MAX).max(1);
    format!("(CAST(occurred_at AS BIGINT) - {}) / {length_us}", origin.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Dimension;

    #[test]
    fn quotes_and_wildcards_of_a_text_stay_text() {
        assert_eq!(literal("O'Hare'; DROP TABLE raw; --"), "'O''Hare''; DROP TABLE raw; --'");
        assert_eq!(pattern("100%_\\'"), "'%100\\%\\_\\\\''%'");
    }

    #[test]
    fn a_range_names_its_days_and_no_other() {
        let at = |text: &str| text.parse().unwrap();
        let range = TimeRange { from: at("2026-11-20T12:00:00Z"), to: at("2026-11-22T00:00:00Z") };
        assert!(in_range(range).contains("BETWEEN DATE '2026-11-20' AND DATE '2026-11-21'"));
    }

    #[test]
    fn a_series_is_its_topic_and_its_part() {
        let part = Some((Dimension::Sentiment, "it's".to_owned()));
        assert_eq!(of_series(&SeriesKey { part, ..SeriesKey::all_posts() }), "TRUE AND sentiment = 'it''s'");
        assert_eq!(of_series(&SeriesKey::whole("late")), "array_has(topics, 'late')");
    }
}
