//! Tries an alert rule on the lake's history, before it is saved: asks the lake for what the rule would have been judged
//! by at each moment, and hands it to `alerts::rehearse`.

use alerts::{Facts, Policy, SourceFacts, WindowFacts, rehearse};
use chrono::TimeDelta;
use domain::{
    Alert, AlertRule, Analytics, Anomaly, Condition, Error, QueryLimits, Result, SeriesKey, Severity, Timestamp,
};
use pipeline::watch::counts::{Stretch, literal, of_series};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most moments at which a rule is judged; a longer history is looked at in larger steps.
const MOMENTS_MAX: i64 = 5_000;
/// A window moves on by this part of its length.
const STEPS_OF_WINDOW: u64 = 12;
const LIMITS: QueryLimits = QueryLimits { rows_max: 1_000_000, timeout: Duration::from_secs(60) };

type Moments = BTreeMap<Timestamp, Vec<Facts>>;

/// The alerts that a rule would have opened from `from` to `to`, the oldest first.
pub(crate) async fn back_test(
    lake: &dyn Analytics,
    rule: &AlertRule,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Alert>> {
    let within = Stretch { from, to };
    let moments = match &rule.condition {
        Condition::Anomaly { .. } => anomalies(lake, rule, within).await?,
        Condition::Threshold { window_s, .. }
        | Condition::Change { window_s, .. }
        | Condition::NegativeShare { window_s, .. } => windows(lake, rule, *window_s, within).await?,
        Condition::FirstMention { phrase } => first_mention(lake, rule, phrase, within).await?,
        Condition::Silence { source, silent_s } => silence(lake, rule, source, *silent_s, within).await?,
    };
    rehearse(rule, Policy::default(), moments).await
}

fn facts(rule: &AlertRule) -> Facts {
    Facts { topic: rule.topic.clone(), ..Facts::default() }
}

fn at(moment: Timestamp) -> String {
    format!("TIMESTAMP '{}'", moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

/// Each anomaly when its first interval had closed, and when it was over.
async fn anomalies(lake: &dyn Analytics, rule: &AlertRule, within: Stretch) -> Result<Moments> {
    let topic = rule.topic.as_deref().map_or("TRUE".to_owned(), |topic| format!("topic = {}", literal(topic)));
    let sql = format!(
        "SELECT anomaly_id, topic, category, interval_s, onset, ended_at, observed, expected, lower, upper, score, \
                severity, sentence FROM anomalies WHERE onset >= {} AND onset < {} AND {topic} ORDER BY onset",
        at(within.from),
        at(within.to),
    );
    let mut moments = Moments::new();
    for row in lake.query(&sql, LIMITS).await?.rows {
        let anomaly = anomaly(&row)?;
        let seen = anomaly.onset + TimeDelta::seconds(i64::from(anomaly.interval_s));
        let of = |anomaly: &Anomaly| Facts {
            topic: Some(anomaly.topic.clone()),
            anomalies: vec![anomaly.clone()],
            ..Facts::default()
        };
        if let Some(end) = anomaly.end {
            moments.entry(seen.max(end)).or_default().push(of(&anomaly));
            // What the book does after an end needs a later look.
            moments.entry(seen.max(end) + TimeDelta::minutes(1)).or_default();
        }
        moments.entry(seen).or_default().push(of(&Anomaly { end: None, ..anomaly }));
    }
    Ok(moments)
}

fn anomaly(row: &[Value]) -> Result<Anomaly> {
    let text = |index: usize| row.get(index).and_then(Value::as_str);
    let number = |index: usize| row.get(index).and_then(Value::as_f64).unwrap_or(0.0);
    let onset = pipeline::moment(text(4).unwrap_or_default())?;
    let severity: Severity = serde_json::from_value(row.get(11).cloned().unwrap_or_default())
        .map_err(|error| Error::stop(format!("an anomaly of the lake has no severity: {error}")))?;
    Ok(Anomaly {
        id: text(0).unwrap_or_default().to_owned(),
        topic: text(1).unwrap_or_default().to_owned(),
        category: text(2).map(str::to_owned),
        slice: None,
        interval_s: number(3) as u32,
        onset,
        end: text(5).map(pipeline::moment).transpose()?,
        observed: number(6),
        expected: number(7),
        lower: number(8),
        upper: number(9),
        score: number(10),
        severity,
        sentence: text(12).unwrap_or_default().to_owned(),
        drivers: Vec::new(),
        examples: Vec::new(),
        detected_at: onset,
    })
}

/// Sliding windows, summed from counts per step.
async fn windows(lake: &dyn Analytics, rule: &AlertRule, window_s: u64, within: Stretch) -> Result<Moments> {
    let least = (within.to - within.from).num_seconds() / MOMENTS_MAX;
    let steps = (window_s / u64::try_from(least.max(60)).unwrap_or(60)).clamp(1, STEPS_OF_WINDOW) as usize;
    let step_s = (window_s / steps as u64).max(1) as i64;
    let window = TimeDelta::seconds(step_s * steps as i64);
    let counted = Stretch { from: within.from - window - window, to: within.to };
    let sql = format!(
        "SELECT date_bin(INTERVAL '{step_s} seconds', occurred_at, {}) AS at, count(*), \
                count(*) FILTER (WHERE sentiment = 'negative') FROM sentiment WHERE {} AND {} GROUP BY 1",
        at(counted.from),
        counted.condition(),
        of_series(&series(rule)),
    );
    let mut bins = vec![(0_u64, 0_u64); ((counted.to - counted.from).num_seconds() / step_s) as usize + 1];
    for row in lake.query(&sql, LIMITS).await?.rows {
        let [Value::String(begin), mentions, negative] = row.as_slice() else { continue };
        let index = (pipeline::moment(begin)? - counted.from).num_seconds() / step_s;
        if let Some(bin) = usize::try_from(index).ok().and_then(|index| bins.get_mut(index)) {
            *bin = (mentions.as_u64().unwrap_or(0), negative.as_u64().unwrap_or(0));
        }
    }
    let sum = |bins: &[(u64, u64)]| bins.iter().fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
    let mut moments = Moments::new();
    for end in 2 * steps..bins.len() {
        let (mentions, negative) = sum(&bins[end - steps..end]);
        let (mentions_before, _) = sum(&bins[end - 2 * steps..end - steps]);
        let window = WindowFacts { window_s, mentions, mentions_before, negative };
        let now = counted.from + TimeDelta::seconds(step_s * end as i64);
        moments.insert(now, vec![Facts { windows: vec![window], ..facts(rule) }]);
    }
    Ok(moments)
}

fn series(rule: &AlertRule) -> SeriesKey {
    let topic = rule.topic.as_deref().unwrap_or(domain::ALL_POSTS);
    SeriesKey::whole(topic)
}

async fn first_mention(lake: &dyn Analytics, rule: &AlertRule, phrase: &str, within: Stretch) -> Result<Moments> {
    let first = crate::rule_facts::first_mention(lake, rule.topic.as_deref(), phrase, None).await?;
    let first = first.filter(|at| *at >= within.from && *at < within.to);
    let facts = |at| Facts { first_mentions: vec![(phrase.to_owned(), at)], ..facts(rule) };
    Ok(first.into_iter().map(|at| (at, vec![facts(at)])).collect())
}

/// The moments at which a source had been silent for long enough, and those of its return.
async fn silence(
    lake: &dyn Analytics,
    rule: &AlertRule,
    source: &str,
    silent_s: u64,
    within: Stretch,
) -> Result<Moments> {
    let sql = format!(
        "SELECT DISTINCT date_trunc('second', received_at) AS at FROM raw WHERE source = {} AND received_at >= {} \
         AND received_at < {} ORDER BY 1",
        literal(source),
        at(within.from),
        at(within.to),
    );
    let silent = domain::seconds(silent_s);
    let rows = lake.query(&sql, LIMITS).await?.rows;
    let lives = rows.iter().filter_map(|row| row.first()?.as_str()).map(pipeline::moment);
    let lives = lives.collect::<Result<Vec<Timestamp>>>()?;
    let of = |last_received_at| Facts {
        sources: vec![SourceFacts { source: source.to_owned(), last_received_at }],
        ..facts(rule)
    };
    let mut moments = Moments::new();
    for (index, last) in lives.iter().enumerate() {
        let next = lives.get(index + 1).copied().unwrap_or(within.to);
        if next - *last >= silent {
            moments.insert(*last + silent, vec![of(*last)]);
            moments.insert(next, vec![of(next)]);
        }
    }
    Ok(moments)
}
