//! The questions that the watch asks the lake: counts per interval and series in event time, and the counts of
//! every dimension inside and before an anomaly. Plain SQL over the tables; nothing is kept.

pub use super::series::{Dimension, EVERYTHING, SeriesKey};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::{Analytics, Error, ErrorKind, QueryLimits, Result, Rows, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::warn;

/// Limits of the watch's own questions: a year of 15-minute intervals of a hundred series.
const LIMITS: QueryLimits = QueryLimits { rows_max: 4_000_000, timeout: Duration::from_secs(120) };

/// Mentions of one series in one interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// Begin of the interval.
    pub at: Timestamp,
    pub key: SeriesKey,
    pub mentions: f64,
}

/// A stretch of event time, `from <= occurred_at < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Stretch {
    /// As a condition, with the partition's day beside the moment so that other days are not read.
    pub fn condition(&self) -> String {
        let at = |moment: Timestamp| moment.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!(
            "event_date BETWEEN DATE '{}' AND DATE '{}' AND occurred_at >= TIMESTAMP '{}' AND occurred_at < TIMESTAMP '{}'",
            self.from.date_naive(),
            self.to.date_naive(),
            at(self.from),
            at(self.to),
        )
    }
}

/// A text as a SQL literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The condition that a row belongs to a series.
pub fn of_series(key: &SeriesKey) -> String {
    let topic = match key.topic.as_str() {
        EVERYTHING => "TRUE".to_owned(),
        topic => format!("array_has(topics, {})", literal(topic)),
    };
    match &key.part {
        Some((dimension, value)) => format!("{topic} AND {} = {}", dimension.as_str(), literal(value)),
        None => topic,
    }
}

/// First and last event time in the lake; `None` while it is empty.
pub async fn span(analytics: &dyn Analytics) -> Result<Option<(Timestamp, Timestamp)>> {
    let rows = analytics.query("SELECT min(occurred_at), max(occurred_at) FROM sentiment", LIMITS).await?.rows;
    match rows.first().map(Vec::as_slice) {
        Some([Value::String(first), Value::String(last)]) => Ok(Some((moment(first)?, moment(last)?))),
        _ => Ok(None),
    }
}

/// Counts of a stretch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// In order of time. Intervals without a mention are left out.
    pub counts: Vec<Count>,
    /// Begins of intervals whose parts could not be counted; topics as wholes were.
    pub without_parts: Vec<Timestamp>,
}

impl From<Vec<Count>> for Counted {
    fn from(counts: Vec<Count>) -> Self {
        Self { counts, without_parts: Vec::new() }
    }
}

/// Counts of all series in a stretch that begins and ends on whole intervals, in order of time: topics, categories within
/// them, and values of `dimensions` within topics and within everything. What is too much for one answer is asked in
/// halves; parts that are too many even in one interval are left out of it.
pub async fn counts(
    analytics: &dyn Analytics,
    stretch: Stretch,
    interval_s: u32,
    dimensions: &[Dimension],
) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut waiting = vec![stretch];
    while let Some(stretch) = waiting.pop() {
        let intervals = (stretch.to - stretch.from).num_seconds() / i64::from(interval_s);
        let whole = counts_of(analytics, &wholes(stretch, interval_s)).await;
        let parts = match &whole {
            Ok(_) => counts_of(analytics, &parts(stretch, interval_s, dimensions)).await,
            Err(_) => Ok(Vec::new()),
        };
        match (whole, parts) {
            (Ok(whole), Ok(parts)) => {
                counted.counts.extend(whole);
                counted.counts.extend(parts);
            }
            (Err(error), _) | (_, Err(error)) if intervals > 1 && error.kind() == ErrorKind::Reject => {
                let half = i32::try_from(intervals / 2).unwrap_or(i32::MAX);
                let middle = stretch.from + TimeDelta::seconds(i64::from(interval_s)) * half;
                waiting.push(Stretch { from: middle, ..stretch });
                waiting.push(Stretch { to: middle, ..stretch });
            }
            (Ok(whole), Err(error)) if error.kind() == ErrorKind::Reject => {
                warn!(at = %stretch.from, %error, "parts of topics could not be counted in an interval");
                counted.counts.extend(whole);
                counted.without_parts.push(stretch.from);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
    }
    counted.counts.sort_by_key(|count| count.at);
    Ok(counted)
}

/// How many posts were written in each interval, those without any left out.
pub(super) async fn totals(
    analytics: &dyn Analytics,
    stretch: Stretch,
    interval_s: u32,
) -> Result<BTreeMap<Timestamp, f64>> {
    let sql =
        format!("SELECT {} AS at, count(*) FROM sentiment WHERE {} GROUP BY 1", bin(interval_s), stretch.condition());
    let total = |row: &Vec<Value>| match row.as_slice() {
        [Value::String(at), total] => Ok((moment(at)?, total.as_f64().unwrap_or(0.0))),
        row => Err(Error::stop(format!("a total has an unexpected form: {row:?}"))),
    };
    ask(analytics, &sql).await?.iter().map(total).collect()
}

/// How many posts were written in a stretch.
pub(super) async fn total(analytics: &dyn Analytics, stretch: Stretch) -> Result<f64> {
    let sql = format!("SELECT count(*) FROM sentiment WHERE {}", stretch.condition());
    let rows = ask(analytics, &sql).await?;
    Ok(rows.first().and_then(|row| row.first()?.as_f64()).unwrap_or(0.0))
}

fn bin(interval_s: u32) -> String {
    format!("date_bin(INTERVAL '{interval_s} seconds', occurred_at, TIMESTAMP '1970-01-01T00:00:00Z')")
}

fn wholes(stretch: Stretch, interval_s: u32) -> String {
    let (bin, within, everything) = (bin(interval_s), stretch.condition(), literal(EVERYTHING));
    format!(
        "SELECT {bin} AS at, {everything} AS topic, CAST(NULL AS VARCHAR) AS dimension, CAST(NULL AS VARCHAR) AS value, \
                count(*) AS n FROM sentiment WHERE {within} GROUP BY 1 \
         UNION ALL \
         SELECT at, topic, CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), count(*) FROM \
           (SELECT {bin} AS at, unnest(topics) AS topic FROM sentiment WHERE {within}) GROUP BY 1, 2"
    )
}

fn parts(stretch: Stretch, interval_s: u32, dimensions: &[Dimension]) -> String {
    let (bin, within, everything) = (bin(interval_s), stretch.condition(), literal(EVERYTHING));
    let parts = std::iter::once(Dimension::Category).chain(dimensions.iter().copied()).map(|dimension| {
        let topics = match dimension {
            Dimension::Category => "topics".to_owned(),
            _ => format!("array_append(topics, {everything})"),
        };
        let column = dimension.as_str();
        format!(
            "SELECT at, topic, '{column}' AS dimension, value, count(*) AS n FROM \
               (SELECT {bin} AS at, unnest({topics}) AS topic, {column} AS value FROM sentiment \
                 WHERE {within} AND {column} IS NOT NULL) GROUP BY 1, 2, 4"
        )
    });
    parts.collect::<Vec<_>>().join(" UNION ALL ")
}

async fn counts_of(analytics: &dyn Analytics, sql: &str) -> Result<Vec<Count>> {
    let answer = rows(analytics, sql).await?;
    if answer.truncated {
        return Err(Error::reject("the counts of a stretch are larger than an answer may be"));
    }
    answer.rows.iter().map(|row| count(row)).collect()
}

fn count(row: &[Value]) -> Result<Count> {
    let [Value::String(at), Value::String(topic), dimension, value, mentions] = row else {
        return Err(Error::stop(format!("a count has an unexpected form: {row:?}")));
    };
    let part = dimension.as_str().and_then(Dimension::parse).zip(value.as_str().map(str::to_owned));
    Ok(Count {
        at: moment(at)?,
        key: SeriesKey { topic: topic.clone(), part },
        mentions: mentions.as_f64().unwrap_or(0.0),
    })
}

/// A timestamp of an answer.
pub fn moment(text: &str) -> Result<Timestamp> {
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.with_timezone(&Utc))
        .map_err(|error| Error::stop(format!("{text:?} is no timestamp of the lake: {error}")))
}

/// Runs one of the watch's questions.
pub async fn ask(analytics: &dyn Analytics, sql: &str) -> Result<Vec<Vec<Value>>> {
    Ok(rows(analytics, sql).await?.rows)
}

/// Runs one of the watch's questions; the answer says whether it was cut short.
pub(super) async fn rows(analytics: &dyn Analytics, sql: &str) -> Result<Rows> {
    analytics.query(sql, LIMITS).await
}
