//! What the lake knows about an incident: how often each value of each dimension was counted within it and in the week
//! before, how the mood moved, and the posts themselves. Plain counts; what they mean is decided in `detect`.

use super::counts::{self, SeriesKey, Stretch};
use chrono::Duration;
use detect::{Counts, PostInWindow, Question, ValueCount};
use domain::{Analytics, Result};
use serde_json::Value;

/// A baseline reaches back so far before the onset.
const BASELINE: Duration = Duration::days(7);
/// Values of one dimension that are looked at, most frequent first.
const VALUES_MAX: usize = 200;
/// Posts of which the examples are chosen: a sample over the whole incident, the same at every look (by the last digits of
/// their ids, which are as good as random).
const POSTS_MAX: usize = 400;

/// Asks the lake about the posts of a series in a stretch. `expected`: what the detector expected over it.
pub(super) async fn gather(
    analytics: &dyn Analytics,
    key: &SeriesKey,
    within: Stretch,
    expected: f64,
) -> Result<Question> {
    let all = Stretch { from: within.from - BASELINE, to: within.to };
    let scope = Scope { rows: format!("{} AND {}", all.condition(), counts::of_series(key)), inside: inside(within) };
    let (mut window, mut baseline) = totals(analytics, &scope).await?;
    for (dimension, column) in [
        ("category", "category"),
        ("language", "language"),
        ("country", "country"),
        ("place", "place"),
        ("sentiment", "sentiment"),
        ("platform", "platform"),
        ("author", "author"),
    ] {
        if dimension == "category" && key.category.is_some() {
            continue;
        }
        let from = format!("SELECT {column} AS value, occurred_at FROM sentiment WHERE {}", scope.rows);
        values(analytics, dimension, &from, &scope, &mut window, &mut baseline).await?;
    }
    let hashtags = format!("SELECT unnest(hashtags) AS value, occurred_at FROM sentiment WHERE {}", scope.rows);
    values(analytics, "hashtag", &hashtags, &scope, &mut window, &mut baseline).await?;
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
        values(analytics, dimension, &from, &scope, &mut window, &mut baseline).await?;
    }
    let posts = posts(analytics, &format!("{} AND {}", within.condition(), counts::of_series(key))).await?;
    let length_s = (within.to - within.from).num_seconds().max(1) as f64;
    let baseline_windows = BASELINE.num_seconds() as f64 / length_s;
    Ok(Question { window, baseline, expected: Some(expected), baseline_windows, posts })
}

/// The rows of incident and baseline, and which of them belong to the incident.
struct Scope {
    rows: String,
    inside: String,
}

fn inside(within: Stretch) -> String {
    format!("occurred_at >= TIMESTAMP '{}'", within.from.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

async fn totals(analytics: &dyn Analytics, scope: &Scope) -> Result<(Counts, Counts)> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {i}), count(*) FILTER (WHERE NOT {i}), \
                count(*) FILTER (WHERE {i} AND sentiment = 'negative'), \
                count(*) FILTER (WHERE NOT {i} AND sentiment = 'negative') \
         FROM sentiment WHERE {rows}",
        i = scope.inside,
        rows = scope.rows,
    );
    let answer = counts::ask(analytics, &sql).await?;
    let number = |index: usize| answer.first().and_then(|row| row.get(index)?.as_f64()).unwrap_or(0.0);
    let counts = |mentions, negative| Counts { mentions, negative, values: Vec::new() };
    Ok((counts(number(0), number(2)), counts(number(1), number(3))))
}

/// Counts the values of one dimension into both windows.
async fn values(
    analytics: &dyn Analytics,
    dimension: &'static str,
    from: &str,
    scope: &Scope,
    window: &mut Counts,
    baseline: &mut Counts,
) -> Result<()> {
    let sql = format!(
        "SELECT value, count(*) FILTER (WHERE {i}) AS observed, count(*) FILTER (WHERE NOT {i}) AS before \
         FROM ({from}) WHERE value IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 3 DESC, 1 LIMIT {VALUES_MAX}",
        i = scope.inside,
    );
    for row in counts::ask(analytics, &sql).await? {
        let [Value::String(value), observed, before] = row.as_slice() else { continue };
        let counted = |count: &Value| ValueCount {
            dimension: dimension.to_owned(),
            value: value.clone(),
            count: count.as_f64().unwrap_or(0.0),
        };
        window.values.push(counted(observed));
        baseline.values.push(counted(before));
    }
    Ok(())
}

async fn posts(analytics: &dyn Analytics, condition: &str) -> Result<Vec<PostInWindow>> {
    let sql = format!(
        "SELECT post_id, text, url, author, sentiment, fingerprint, repost_of, reach FROM sentiment WHERE {condition} \
         ORDER BY reverse(post_id) LIMIT {POSTS_MAX}"
    );
    let rows = counts::ask(analytics, &sql).await?;
    let read = |row: Vec<Value>| {
        let text = |index: usize| row.get(index).and_then(Value::as_str).map(str::to_owned);
        Some(PostInWindow {
            post_id: text(0)?,
            text: text(1)?,
            url: text(2),
            author: text(3),
            sentiment: text(4),
            fingerprint: row.get(5).and_then(Value::as_i64),
            repost_of: text(6),
            reach: row.get(7).and_then(Value::as_u64),
        })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
