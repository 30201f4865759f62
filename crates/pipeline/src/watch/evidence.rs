//! What the lake knows about an incident: how often each value of each dimension was counted within it and in the week
//! before, how the mood moved, and the posts themselves. Plain counts; what they mean is decided in `detect`.
//!
//! Memory is bounded whatever the volume: the posts of the incident and of the week before are read as rows of short
//! columns and counted here. Where there are more than [`WINDOW_MAX`] and [`BASELINE_MAX`], a sample is read, by a
//! number made of the post's id and time, so that all tables give the same posts. A dimension that can't be asked for
//! is left out.

use super::counts::{self, SeriesKey, Stretch};
use chrono::{Duration, SecondsFormat};
use detect::{Counts, Explanation, PostInWindow, Question, ValueCount};
use domain::{Analytics, Error, Result};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use tracing::warn;

/// A baseline reaches back so far before the onset.
const BASELINE: Duration = Duration::days(7);
/// Values of one dimension that are looked at, those that moved most first.
const VALUES_MAX: usize = 200;
/// Posts of which the examples are chosen: a sample over the whole incident, the same at every look (by the last digits of
/// their ids, which are as good as random).
const POSTS_MAX: usize = 400;
/// About so many posts of the incident, and of the week before, are read (about 1 kB each while they are counted).
const WINDOW_MAX: f64 = 15_000.0;
const BASELINE_MAX: f64 = 40_000.0;
/// A post's number for sampling is less than this prime.
const RESIDUES: i64 = 997;

/// Dimensions with a column of the posts' own table.
const DIMENSIONS: [&str; 7] = ["category", "language", "country", "place", "sentiment", "platform", "author"];
/// Separates the hashtags of a post.
const SEPARATOR: char = '\u{1f}';

/// Why a series left its course in a stretch. `expected`: what the detector expected over it.
pub(super) async fn explain(
    analytics: &dyn Analytics,
    key: &SeriesKey,
    within: Stretch,
    expected: f64,
) -> Result<Explanation> {
    let scope = Scope::of(analytics, key, within).await?;
    let (mut window, mut baseline, sample) = posts_of(analytics, &scope, key, expected).await?;
    for (dimension, table, column, condition) in [
        ("entity", "entities", "entity", "kind IN ('person', 'organisation', 'location', 'product', 'work', 'event')"),
        ("key_phrase", "key_phrases", "phrase", "TRUE"),
    ] {
        match terms(analytics, &scope, &sample, (table, column, condition)).await {
            Ok(said) => count_values(dimension, said, &sample, &mut window, &mut baseline),
            Err(error) => warn!(dimension, %error, "an anomaly is explained without a dimension"),
        }
    }
    let posts = examples(analytics, &scope).await.unwrap_or_else(|error| {
        warn!(%error, "an anomaly is explained without examples");
        Vec::new()
    });
    let baseline_windows = BASELINE.num_seconds() as f64 / scope.length_s as f64;
    let expected_of_sample = Some(expected / scope.weight());
    let question = Question { window, baseline, expected: expected_of_sample, baseline_windows, posts };
    Ok(weighted(detect::explain(&question), scope.weight()))
}

/// An explanation of a sample told for all.
fn weighted(mut explanation: Explanation, weight: f64) -> Explanation {
    if weight > 1.0 {
        let whole = |number: &mut f64| *number = (*number * weight).round();
        whole(&mut explanation.observed);
        whole(&mut explanation.expected);
        for driver in explanation.drivers.iter_mut().chain(&mut explanation.new_terms) {
            whole(&mut driver.observed);
            driver.expected *= weight;
        }
        if let Some(repeated) = &mut explanation.repeated {
            whole(&mut repeated.mentions);
        }
    }
    explanation
}

/// The rows of incident and baseline, and how many of them are read.
struct Scope {
    /// The time alone, whatever the series.
    all: String,
    within: String,
    series: String,
    /// Which posts are read; holds in every table with `post_id` and `occurred_at`.
    sampled: String,
    onset_us: i64,
    length_s: i64,
    /// Of [`RESIDUES`] so many are read of the incident.
    share: i64,
}

impl Scope {
    async fn of(analytics: &dyn Analytics, key: &SeriesKey, within: Stretch) -> Result<Self> {
        let stretch = Stretch { from: within.from - BASELINE, to: within.to };
        let onset = format!("TIMESTAMP '{}'", within.from.to_rfc3339_opts(SecondsFormat::Micros, true));
        let (all, series) = (stretch.condition(), counts::of_series(key));
        let sql = format!(
            "SELECT count(*) FILTER (WHERE occurred_at >= {onset}), count(*) FILTER (WHERE occurred_at < {onset}) \
             FROM sentiment WHERE {all} AND {series}"
        );
        let answer = counts::ask(analytics, &sql).await?;
        let number = |index: usize| answer.first().and_then(|row| row.get(index)?.as_f64()).unwrap_or(0.0);
        let (share, before) = (share(number(0), WINDOW_MAX), share(number(1), BASELINE_MAX));
        let nth = |nth: u8, factor: u32| format!("ascii(substr(reverse(post_id), {nth}, 1)) * {factor}");
        let sampled = match share == RESIDUES && before == RESIDUES {
            true => "TRUE".into(),
            false => format!(
                "((CAST(occurred_at AS BIGINT) % {RESIDUES}) * 31 + {} + {} + {}) % {RESIDUES} < \
                 CASE WHEN occurred_at >= {onset} THEN {share} ELSE {before} END",
                nth(1, 7919),
                nth(2, 104_729),
                nth(3, 1_299_709),
            ),
        };
        Ok(Self {
            all,
            within: within.condition(),
            series,
            sampled,
            onset_us: within.from.timestamp_micros(),
            length_s: (within.to - within.from).num_seconds().max(1),
            share,
        })
    }

    /// Mentions of the incident that one in the sample stands for.
    fn weight(&self) -> f64 {
        RESIDUES as f64 / self.share as f64
    }
}

/// How many of the residues give about `most` posts of `all`.
fn share(all: f64, most: f64) -> i64 {
    if all <= most { RESIDUES } else { ((most / all * RESIDUES as f64).ceil() as i64).clamp(1, RESIDUES) }
}

/// Whose voice and which message a post is, and its stretch: as long as the incident each, which is number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    post: u32,
    stretch: i64,
    person: u32,
    message: u32,
}

/// The posts that were read.
#[derive(Default)]
struct Sample {
    posts: HashMap<String, Said>,
    /// Mentions expected within the incident, a mention of the baseline.
    scale: f64,
}

/// Texts as numbers, in order of appearance.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), number);
        number
    }
}

/// Totals, and the counts of the dimensions that stand in the posts' own table.
async fn posts_of(
    analytics: &dyn Analytics,
    scope: &Scope,
    key: &SeriesKey,
    expected: f64,
) -> Result<(Counts, Counts, Sample)> {
    let sql = format!(
        "SELECT post_id, CAST(occurred_at AS BIGINT), coalesce(author, post_id), \
                coalesce(CAST(fingerprint AS VARCHAR), repost_of, post_id), \
                array_to_string(hashtags, '{SEPARATOR}'), {columns} \
         FROM sentiment WHERE {} AND {} AND {}",
        scope.all,
        scope.series,
        scope.sampled,
        columns = DIMENSIONS.join(", "),
    );
    let rows = whole(counts::rows(analytics, &sql).await?)?;
    let (mut sample, mut persons, mut messages) = (Sample::default(), Names::default(), Names::default());
    let mut values: Vec<Vec<(String, Said)>> = vec![Vec::new(); DIMENSIONS.len() + 1];
    let mut negative = [0.0; 2];
    for row in rows {
        let text = |index: usize| row.get(index).and_then(Value::as_str);
        let (Some(id), Some(at)) = (text(0), row.get(1).and_then(Value::as_i64)) else { continue };
        let said = Said {
            post: u32::try_from(sample.posts.len()).unwrap_or(u32::MAX),
            stretch: (at - scope.onset_us).div_euclid(scope.length_s * 1_000_000).min(0),
            person: persons.number(text(2).unwrap_or(id)),
            message: messages.number(text(3).unwrap_or(id)),
        };
        let tags = text(4).unwrap_or_default().split(SEPARATOR).filter(|tag| !tag.is_empty());
        values[DIMENSIONS.len()].extend(tags.map(|tag| (tag.to_owned(), said)));
        for (at, values) in values.iter_mut().take(DIMENSIONS.len()).enumerate() {
            values.extend(text(5 + at).map(|value| (value.to_owned(), said)));
        }
        negative[usize::from(said.stretch < 0)] += f64::from(u8::from(text(9) == Some("negative")));
        sample.posts.insert(id.to_owned(), said);
    }
    let [mut window, mut baseline] = totals(sample.posts.values().copied().collect(), negative);
    sample.scale = expected / scope.weight() / baseline.mentions.max(1.0);
    for (dimension, values) in DIMENSIONS.into_iter().chain(["hashtag"]).zip(values) {
        if key.part.as_ref().is_none_or(|(limit, _)| limit.as_str() != dimension) {
            count_values(dimension, values, &sample, &mut window, &mut baseline);
        }
    }
    Ok((window, baseline, sample))
}

fn totals(mut said: Vec<Said>, negative: [f64; 2]) -> [Counts; 2] {
    said.sort_unstable_by_key(|said| said.stretch);
    let mut sides = negative.map(|negative| Counts { negative, ..Counts::default() });
    for stretch in said.chunk_by(|a, b| a.stretch == b.stretch) {
        let side = &mut sides[usize::from(stretch[0].stretch < 0)];
        side.mentions += stretch.len() as f64;
        side.voices += voices(stretch.iter());
    }
    sides
}

/// Voices of a stretch: one person is one, however often he says it, and so is one message, however many pass it on.
fn voices<'a>(said: impl Iterator<Item = &'a Said> + Clone) -> f64 {
    let persons: HashSet<u32> = said.clone().map(|said| said.person).collect();
    let messages: HashSet<u32> = said.map(|said| said.message).collect();
    persons.len().min(messages.len()) as f64
}

/// Counts the values of one dimension into both windows: those that moved most, whichever way.
fn count_values(
    dimension: &str,
    mut said: Vec<(String, Said)>,
    sample: &Sample,
    window: &mut Counts,
    baseline: &mut Counts,
) {
    said.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then(one.stretch.cmp(&other.stretch)).then(one.cmp(other)));
    said.dedup();
    let mut found: Vec<[ValueCount; 2]> = Vec::new();
    for of_value in said.chunk_by(|(a, _), (b, _)| a == b) {
        let value = || of_value[0].0.clone();
        let mut sides =
            [0, 1].map(|_| ValueCount { dimension: dimension.to_owned(), value: value(), count: 0.0, voices: 0.0 });
        for stretch in of_value.chunk_by(|(_, a), (_, b)| a.stretch == b.stretch) {
            let side = &mut sides[usize::from(stretch[0].1.stretch < 0)];
            side.count += stretch.len() as f64;
            side.voices += voices(stretch.iter().map(|(_, said)| said));
        }
        found.push(sides);
    }
    let moved = |[now, before]: &[ValueCount; 2]| (now.count - before.count * sample.scale).abs();
    found.sort_by(|a, b| moved(b).total_cmp(&moved(a)).then_with(|| a[0].value.cmp(&b[0].value)));
    for [now, before] in found.into_iter().take(VALUES_MAX) {
        window.values.push(now);
        baseline.values.push(before);
    }
}

/// What the posts of the sample say, of a table of terms. Authors and categories stand in the posts' own table only, so
/// terms are joined by id.
async fn terms(
    analytics: &dyn Analytics,
    scope: &Scope,
    sample: &Sample,
    (table, column, condition): (&str, &str, &str),
) -> Result<Vec<(String, Said)>> {
    let sql = format!(
        "SELECT said.post_id, said.value \
           FROM (SELECT post_id, lower({column}) AS value FROM {table} WHERE {condition} AND {all} AND {sampled}) AS said \
           JOIN (SELECT post_id FROM sentiment WHERE {all} AND {series} AND {sampled}) AS post \
             ON said.post_id = post.post_id",
        all = scope.all,
        series = scope.series,
        sampled = scope.sampled,
    );
    let rows = whole(counts::rows(analytics, &sql).await?)?;
    let read = |row: Vec<Value>| {
        let said = sample.posts.get(row.first()?.as_str()?)?;
        Some((row.get(1)?.as_str()?.to_owned(), *said))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// An answer that was cut short would weigh one side more than the other.
fn whole(answer: domain::Rows) -> Result<Vec<Vec<Value>>> {
    match answer.truncated {
        true => Err(Error::reject("the lake's answer about an anomaly is larger than an answer may be")),
        false => Ok(answer.rows),
    }
}

async fn examples(analytics: &dyn Analytics, scope: &Scope) -> Result<Vec<PostInWindow>> {
    let sql = format!(
        "SELECT post_id, text, url, author, sentiment, fingerprint, repost_of, reach FROM sentiment \
         WHERE {} AND {} AND {} ORDER BY reverse(post_id) LIMIT {POSTS_MAX}",
        scope.within, scope.series, scope.sampled,
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
