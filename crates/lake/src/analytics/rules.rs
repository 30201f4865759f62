//! The questions of alert rules.

use super::columns::{Columns, dimension};
use super::sql::{in_range, interval, literal, of_series, pattern, time};
use crate::lake::Lake;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    Anomaly, Error, Result, RuleHistory, SeriesKey, Severity, Slice, TimeRange, Timestamp, WindowCount, Windows,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A rule is asked about every half minute.
const LIVE: Duration = Duration::from_secs(10);
/// Questions over all of history: the first look for a phrase, and those of a back-test.
const LONG: Duration = Duration::from_secs(120);
/// A post becomes visible some time after it was enriched.
const PUBLISHED_BEFORE: TimeDelta = TimeDelta::days(1);
/// Most seconds with posts that a back-test looks at.
const RECEIVED_MAX: usize = 1_000_000;
const ANOMALY: &str = "anomaly_id, topic, category, dimension, value, interval_s, onset, ended_at, observed, expected, \
     lower, upper, score, severity, sentence, drivers, examples, detected_at";

#[async_trait]
impl RuleHistory for Lake {
    async fn window_counts(&self, topic: Option<&str>, windows: Windows) -> Result<Vec<WindowCount>> {
        let Windows { from, length, count } = windows;
        let to = from + length * i32::try_from(count).unwrap_or(i32::MAX);
        let sql = format!(
            "SELECT {} AS at, count(*), count(*) FILTER (WHERE sentiment = 'negative') FROM sentiment \
             WHERE {} AND {} GROUP BY 1",
            interval(from, length),
            in_range(TimeRange { from, to }),
            of_series(&SeriesKey::of_topic(topic)),
        );
        let mut counts = vec![WindowCount::default(); count];
        let timeout = if count > 2 { LONG } else { LIVE };
        self.each_batch(&sql, timeout, |rows| {
            for row in 0..rows.rows {
                let at = rows.int(0, row).and_then(|at| usize::try_from(at).ok());
                if let Some(window) = at.and_then(|at| counts.get_mut(at)) {
                    *window = WindowCount { mentions: rows.count(1, row), negative: rows.count(2, row) };
                }
            }
            Ok(())
        })
        .await?;
        Ok(counts)
    }

    async fn first_mention(
        &self,
        topic: Option<&str>,
        phrase: &str,
        enriched_since: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        let since = enriched_since
            .map(|at| format!(" AND enriched_at >= {} AND occurred_at >= {}", time(at), time(at - PUBLISHED_BEFORE)));
        let sql = format!(
            "SELECT min(occurred_at) FROM sentiment WHERE text ILIKE {} AND {}{}",
            pattern(phrase),
            of_series(&SeriesKey::of_topic(topic)),
            since.unwrap_or_default(),
        );
        let timeout = if enriched_since.is_some() { LIVE } else { LONG };
        self.first_row(&sql, timeout, |rows| rows.time(0, 0)).await
    }

    async fn last_received(&self, source: &str, since: Timestamp) -> Result<Option<Timestamp>> {
        let sql = format!(
            "SELECT max(received_at) FROM raw WHERE source = {} AND received_at >= {since} AND occurred_at >= {since}",
            literal(source),
            since = time(since),
        );
        self.first_row(&sql, LIVE, |rows| rows.time(0, 0)).await
    }

    async fn received(&self, source: &str, range: TimeRange) -> Result<Vec<Timestamp>> {
        let sql = format!(
            "SELECT DISTINCT CAST(received_at AS BIGINT) / 1000000 AS second FROM raw \
             WHERE source = {} AND received_at >= {} AND received_at < {} ORDER BY 1 LIMIT {RECEIVED_MAX}",
            literal(source),
            time(range.from),
            time(range.to),
        );
        let mut received = Vec::new();
        self.each_batch(&sql, LONG, |rows| {
            let seconds = (0..rows.rows).filter_map(|row| rows.int(0, row));
            received.extend(seconds.filter_map(|second| Timestamp::from_timestamp(second, 0)));
            Ok(())
        })
        .await?;
        Ok(received)
    }

    async fn anomalies(&self, topic: Option<&str>, onset: TimeRange) -> Result<Vec<Anomaly>> {
        let topic = topic.map_or_else(|| "TRUE".to_owned(), |topic| format!("topic = {}", literal(topic)));
        let sql = format!(
            "SELECT {ANOMALY} FROM anomalies WHERE onset >= {} AND onset < {} AND {topic} ORDER BY onset, anomaly_id",
            time(onset.from),
            time(onset.to),
        );
        self.read_anomalies(&sql).await
    }
}

impl Lake {
    async fn read_anomalies(&self, sql: &str) -> Result<Vec<Anomaly>> {
        let mut anomalies = Vec::new();
        self.each_batch(sql, LONG, |rows| {
            (0..rows.rows).try_for_each(|row| {
                anomalies.push(anomaly(rows, row)?);
                Ok(())
            })
        })
        .await?;
        Ok(anomalies)
    }
}

/// An anomaly of the columns [`ANOMALY`].
fn anomaly(rows: &Columns, row: usize) -> Result<Anomaly> {
    let text = |column| rows.owned(column, row);
    let number = |column| rows.double(column, row).unwrap_or_default();
    let id = text(0).unwrap_or_default();
    let missing = |what: &str| Error::stop(format!("the stored anomaly {id:?} has no {what}"));
    let onset = rows.time(6, row).ok_or_else(|| missing("onset"))?;
    let slice = rows.text(3, row).and_then(dimension).zip(text(4));
    Ok(Anomaly {
        topic: text(1).unwrap_or_default(),
        category: text(2),
        slice: slice.map(|(dimension, value)| Slice { dimension: dimension.name().to_owned(), value }),
        interval_s: rows.int(5, row).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default(),
        onset,
        end: rows.time(7, row),
        observed: number(8),
        expected: number(9),
        lower: number(10),
        upper: number(11),
        score: number(12),
        severity: rows.text(13, row).and_then(severity).ok_or_else(|| missing("severity"))?,
        sentence: text(14).unwrap_or_default(),
        drivers: json(rows.text(15, row)),
        examples: json(rows.text(16, row)),
        detected_at: rows.time(17, row).unwrap_or(onset),
        id,
    })
}

fn severity(word: &str) -> Option<Severity> {
    use Severity::{Critical, High, Low, Medium};
    [Low, Medium, High, Critical].into_iter().find(|severity| severity.as_str() == word)
}

/// A list stored as JSON; empty if it can't be read.
fn json<T: DeserializeOwned>(text: Option<&str>) -> Vec<T> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
