//! What the lake knows about an incident: how often each value of each dimension was counted within it and in the week
//! before, how the mood moved, and the posts themselves. Plain counts; what they mean is decided in `detect`.

use super::counts::{self, SeriesKey, Stretch};
use chrono::Duration;
use domain::{Analytics, Result};
use serde_json::Value;

/// A baseline reaches back so far before the onset.
const BASELINE: Duration = Duration::days(7);
/// Values of one dimension that are looked at, most frequent first.
const VALUES_MAX: usize = 200;
/// Posts of which the examples are chosen.
const POSTS_MAX: usize = 400;

/// How often one value was counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueCount {
    pub dimension: &'static str,
    pub value: String,
    /// Posts within the incident.
    pub observed: f64,
    /// Posts in the baseline.
    pub baseline: f64,
}

/// A post of the incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub post_id: String,
    pub text: String,
    pub url: Option<String>,
    pub sentiment: Option<String>,
    pub fingerprint: Option<i64>,
    pub reach: f64,
}

/// Everything asked about one incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Evidence {
    pub observed: f64,
    pub baseline: f64,
    pub negative_observed: f64,
    pub negative_baseline: f64,
    /// Posts within the incident that repeat another one nearly word for word, the first not counted.
    pub copies: f64,
    pub values: Vec<ValueCount>,
    pub posts: Vec<Candidate>,
}

/// Asks the lake about the posts of a series in a stretch.
pub(super) async fn gather(analytics: &dyn Analytics, key: &SeriesKey, within: Stretch) -> Result<Evidence> {
    let all = Stretch { from: within.from - BASELINE, to: within.to };
    let scope = Scope { rows: format!("{} AND {}", all.condition(), counts::of_series(key)), inside: inside(within) };
    let mut evidence = totals(analytics, &scope).await?;
    for (dimension, column) in [
        ("category", "category"),
        ("language", "language"),
        ("country", "country"),
        ("platform", "platform"),
        ("author", "author"),
    ] {
        if dimension == "category" && key.category.is_some() {
            continue;
        }
        let from = format!("SELECT {column} AS value, occurred_at FROM sentiment WHERE {}", scope.rows);
        evidence.values.extend(values(analytics, dimension, &from, &scope).await?);
    }
    let hashtags = format!("SELECT unnest(hashtags) AS value, occurred_at FROM sentiment WHERE {}", scope.rows);
    evidence.values.extend(values(analytics, "hashtag", &hashtags, &scope).await?);
    for (dimension, table, column, condition) in [
        ("entity", "entities", "entity", "kind IN ('person', 'organisation', 'location', 'product', 'work', 'event')"),
        ("key_phrase", "key_phrases", "phrase", "TRUE"),
    ] {
        // A category stands in the posts' own table only, so entities and phrases are taken by id.
        let from = format!(
            "SELECT DISTINCT post_id, lower({column}) AS value, occurred_at FROM {table} WHERE {condition} AND {} \
             AND post_id IN (SELECT post_id FROM sentiment WHERE {})",
            all.condition(),
            scope.rows,
        );
        evidence.values.extend(values(analytics, dimension, &from, &scope).await?);
    }
    evidence.posts = posts(analytics, &format!("{} AND {}", within.condition(), counts::of_series(key))).await?;
    Ok(evidence)
}

/// The rows of incident and baseline, and which of them belong to the incident.
struct Scope {
    rows: String,
    inside: String,
}

fn inside(within: Stretch) -> String {
    format!("occurred_at >= TIMESTAMP '{}'", within.from.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

async fn totals(analytics: &dyn Analytics, scope: &Scope) -> Result<Evidence> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {i}), count(*) FILTER (WHERE NOT {i}), \
                count(*) FILTER (WHERE {i} AND sentiment = 'negative'), \
                count(*) FILTER (WHERE NOT {i} AND sentiment = 'negative'), \
                count(fingerprint) FILTER (WHERE {i}) - count(DISTINCT fingerprint) FILTER (WHERE {i}) \
         FROM sentiment WHERE {rows}",
        i = scope.inside,
        rows = scope.rows,
    );
    let answer = counts::ask(analytics, &sql).await?;
    let number = |index: usize| answer.first().and_then(|row| row.get(index)?.as_f64()).unwrap_or(0.0);
    Ok(Evidence {
        observed: number(0),
        baseline: number(1),
        negative_observed: number(2),
        negative_baseline: number(3),
        copies: number(4),
        ..Evidence::default()
    })
}

async fn values(
    analytics: &dyn Analytics,
    dimension: &'static str,
    from: &str,
    scope: &Scope,
) -> Result<Vec<ValueCount>> {
    let sql = format!(
        "SELECT value, count(*) FILTER (WHERE {i}) AS observed, count(*) FILTER (WHERE NOT {i}) AS baseline \
         FROM ({from}) WHERE value IS NOT NULL GROUP BY 1 HAVING count(*) FILTER (WHERE {i}) > 0 \
         ORDER BY 2 DESC, 1 LIMIT {VALUES_MAX}",
        i = scope.inside,
    );
    let rows = counts::ask(analytics, &sql).await?;
    let read = |row: Vec<Value>| {
        let [Value::String(value), observed, baseline] = row.as_slice() else { return None };
        let (observed, baseline) = (observed.as_f64()?, baseline.as_f64()?);
        Some(ValueCount { dimension, value: value.clone(), observed, baseline })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

async fn posts(analytics: &dyn Analytics, condition: &str) -> Result<Vec<Candidate>> {
    let sql = format!(
        "SELECT post_id, text, url, sentiment, fingerprint, reach FROM sentiment WHERE {condition} \
         ORDER BY occurred_at, post_id LIMIT {POSTS_MAX}"
    );
    let rows = counts::ask(analytics, &sql).await?;
    let read = |row: Vec<Value>| {
        let text = |index: usize| row.get(index).and_then(Value::as_str).map(str::to_owned);
        Some(Candidate {
            post_id: text(0)?,
            text: text(1)?,
            url: text(2),
            sentiment: text(3),
            fingerprint: row.get(4).and_then(Value::as_i64),
            reach: row.get(5).and_then(Value::as_f64).unwrap_or(0.0),
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
