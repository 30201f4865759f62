//! What the lake knows about an incident: how often each value of each dimension was counted within it and in the week
//! before, how the mood moved, and the posts themselves. Plain counts; what they mean is decided in `detect`.

use super::counts::{self, SeriesKey, Stretch};
use chrono::Duration;
use detect::{Counts, PostInWindow, Question, ValueCount};
use domain::{Analytics, Result};
use serde_json::Value;

/// A baseline reaches back so far before the onset.
const BASELINE: Duration = Duration::days(7);
/// Values of one dimension that are looked at, those that moved most first.
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
    let length_s = (within.to - within.from).num_seconds().max(1);
    let onset = within.from.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let mut scope = Scope {
        rows: format!("{} AND {}", all.condition(), counts::of_series(key)),
        all: all.condition(),
        bin: format!("date_bin(INTERVAL '{length_s} seconds', occurred_at, TIMESTAMP '{onset}')"),
        inside: format!("bin >= TIMESTAMP '{onset}'"),
        scale: 0.0,
    };
    let (mut window, mut baseline) = totals(analytics, &scope).await?;
    scope.scale = expected / baseline.mentions.max(1.0);
    for (dimension, values) in DIMENSIONS {
        if key.part.as_ref().is_some_and(|(limit, _)| limit.as_str() == dimension) {
            continue;
        }
        count_values(analytics, dimension, &scope.voiced(values), &scope, &mut window, &mut baseline).await?;
    }
    for (dimension, table, column, condition) in [
        ("entity", "entities", "entity", "kind IN ('person', 'organisation', 'location', 'product', 'work', 'event')"),
        ("key_phrase", "key_phrases", "phrase", "TRUE"),
    ] {
        // Authors and categories stand in the posts' own table only, so entities and phrases are joined by id.
        let from = format!(
            "SELECT DISTINCT said.value, post.bin, post.post_id, post.person, post.message \
               FROM (SELECT post_id, lower({column}) AS value FROM {table} WHERE {condition} AND {all}) AS said \
               JOIN ({posts}) AS post ON said.post_id = post.post_id",
            all = scope.all,
            posts = scope.voiced("NULL"),
        );
        count_values(analytics, dimension, &from, &scope, &mut window, &mut baseline).await?;
    }
    let posts = posts(analytics, &format!("{} AND {}", within.condition(), counts::of_series(key))).await?;
    let baseline_windows = BASELINE.num_seconds() as f64 / length_s as f64;
    Ok(Question { window, baseline, expected: Some(expected), baseline_windows, posts })
}

/// Dimensions with a column of the posts' own table.
const DIMENSIONS: [(&str, &str); 8] = [
    ("category", "category"),
    ("language", "language"),
    ("country", "country"),
    ("place", "place"),
    ("sentiment", "sentiment"),
    ("platform", "platform"),
    ("author", "author"),
    ("hashtag", "unnest(hashtags)"),
];

/// The rows of incident and baseline, cut into stretches as long as the incident, which is the last of them.
struct Scope {
    rows: String,
    /// The time alone, whatever the series.
    all: String,
    bin: String,
    inside: String,
    /// Mentions expected within the incident, a mention of the baseline.
    scale: f64,
}

impl Scope {
    /// Rows of values with their stretch, and whose voice and which message each is.
    fn voiced(&self, value: &str) -> String {
        format!(
            "SELECT {value} AS value, {bin} AS bin, post_id, coalesce(author, post_id) AS person, \
                    coalesce(CAST(fingerprint AS VARCHAR), repost_of, post_id) AS message FROM sentiment WHERE {rows}",
            bin = self.bin,
            rows = self.rows,
        )
    }
}

/// Voices of a stretch: one person is one, however often he says it, and so is one message, however many pass it on.
const VOICES: &str = "least(count(DISTINCT person), count(DISTINCT message))";

async fn totals(analytics: &dyn Analytics, scope: &Scope) -> Result<(Counts, Counts)> {
    let sql = format!(
        "SELECT sum(n) FILTER (WHERE {i}), sum(n) FILTER (WHERE NOT {i}), \
                sum(negative) FILTER (WHERE {i}), sum(negative) FILTER (WHERE NOT {i}), \
                sum(voices) FILTER (WHERE {i}), sum(voices) FILTER (WHERE NOT {i}) \
         FROM (SELECT bin, count(*) AS n, count(*) FILTER (WHERE value = 'negative') AS negative, {VOICES} AS voices \
                 FROM ({from}) GROUP BY bin)",
        i = scope.inside,
        from = scope.voiced("sentiment"),
    );
    let answer = counts::ask(analytics, &sql).await?;
    let number = |index: usize| answer.first().and_then(|row| row.get(index)?.as_f64()).unwrap_or(0.0);
    let counts = |side: usize| Counts {
        mentions: number(side),
        negative: number(2 + side),
        voices: number(4 + side),
        values: Vec::new(),
    };
    Ok((counts(0), counts(1)))
}

/// Counts the values of one dimension into both windows: those that moved most, whichever way.
async fn count_values(
    analytics: &dyn Analytics,
    dimension: &'static str,
    from: &str,
    scope: &Scope,
    window: &mut Counts,
    baseline: &mut Counts,
) -> Result<()> {
    // Grouped twice: DISTINCT would keep a set of some kilobytes for each of the many values and stretches.
    let each = |what: &str, n: &str, person: u8, message: u8| {
        format!(
            "SELECT value, bin, {n} AS n, {person} AS person, {message} AS message \
               FROM ({from}) WHERE value IS NOT NULL GROUP BY value, bin, {what}"
        )
    };
    let (persons, messages) = (each("person", "count(*)", 1, 0), each("message", "0", 0, 1));
    let sql = format!(
        "SELECT value, observed, before, voices, voices_before FROM \
           (SELECT value, coalesce(sum(n) FILTER (WHERE {i}), 0) AS observed, \
                   coalesce(sum(n) FILTER (WHERE NOT {i}), 0) AS before, \
                   coalesce(sum(voices) FILTER (WHERE {i}), 0) AS voices, \
                   coalesce(sum(voices) FILTER (WHERE NOT {i}), 0) AS voices_before \
              FROM (SELECT value, bin, sum(n) AS n, least(sum(person), sum(message)) AS voices \
                      FROM ({persons} UNION ALL {messages}) GROUP BY value, bin) GROUP BY value) \
         ORDER BY abs(observed - before * {scale:e}) DESC, value LIMIT {VALUES_MAX}",
        i = scope.inside,
        scale = scope.scale,
    );
    for row in counts::ask(analytics, &sql).await? {
        let [Value::String(value), observed, before, voices, voices_before] = row.as_slice() else { continue };
        let counted = |count: &Value, voices: &Value| ValueCount {
            dimension: dimension.to_owned(),
            value: value.clone(),
            count: count.as_f64().unwrap_or(0.0),
            voices: voices.as_f64().unwrap_or(0.0),
        };
        window.values.push(counted(observed, voices));
        baseline.values.push(counted(before, voices_before));
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
