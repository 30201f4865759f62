//! A rule tried on history before it is saved. What it would have been judged by at each moment goes, in order, through
//! the code that judges rules and keeps alerts, over a store in memory and without a channel, so that no one is notified.

use crate::book::AlertBook;
use crate::facts::Facts;
use crate::life::Policy;
use crate::past::SlidingWindows;
use chrono::TimeDelta;
use domain::{Alert, AlertRule, Anomaly, Condition, Result, RuleHistory, TimeRange, Timestamp, seconds};
use state::MemoryState;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most moments at which a rule is judged; a longer history is judged in larger steps.
const MOMENTS_MAX: u64 = 5_000;
/// A window moves on by this part of its length, and by a minute at least.
const STEPS_OF_WINDOW: u32 = 12;
const STEP_MIN_S: u64 = 60;
/// A rule is judged again this long after an anomaly is over: an alert closes at the next look.
const NEXT_LOOK: TimeDelta = TimeDelta::minutes(1);

type Moments = BTreeMap<Timestamp, Vec<Facts>>;

/// The alerts that a rule would have opened within a range, the oldest first.
pub async fn back_test(history: &dyn RuleHistory, rule: &AlertRule, range: TimeRange) -> Result<Vec<Alert>> {
    let moments = match &rule.condition {
        Condition::Anomaly { .. } => anomalies(history, rule, range).await?,
        Condition::Threshold { window_s, .. }
        | Condition::Change { window_s, .. }
        | Condition::NegativeShare { window_s, .. } => windows(history, rule, *window_s, range).await?,
        Condition::FirstMention { phrase } => first_mention(history, rule, phrase, range).await?,
        Condition::Silence { source, silent_s } => silence(history, rule, source, *silent_s, range).await?,
    };
    judge(rule, Policy::default(), moments).await
}

/// The alerts that a rule would have opened on `moments`, each with its facts, in order of time; the oldest first.
async fn judge(
    rule: &AlertRule,
    policy: Policy,
    moments: impl IntoIterator<Item = (Timestamp, Vec<Facts>)>,
) -> Result<Vec<Alert>> {
    let rule = AlertRule { channels: Vec::new(), enabled: true, ..rule.clone() };
    let book = AlertBook::new(Arc::new(MemoryState::default()), policy);
    for (now, facts) in moments {
        book.observe(std::slice::from_ref(&rule), &facts, now).await?;
    }
    Ok(book.alerts().await?.into_iter().rev().map(|stored| stored.alert).collect())
}

/// Each anomaly when its first interval had closed, and when it was over. The lake keeps the severity that an anomaly
/// reached and not when, so an alert on a high severity opens with the anomaly here; live it opens when it is reached.
async fn anomalies(history: &dyn RuleHistory, rule: &AlertRule, range: TimeRange) -> Result<Moments> {
    let mut moments = Moments::new();
    for anomaly in history.anomalies(rule.topic.as_deref(), range).await? {
        let detected = anomaly.onset + TimeDelta::seconds(i64::from(anomaly.interval_s));
        let open = Anomaly { end: None, ..anomaly.clone() };
        moments.entry(detected).or_default().extend(Facts::of_anomalies([open]));
        if let Some(end) = anomaly.end {
            let end = detected.max(end);
            moments.entry(end).or_default().extend(Facts::of_anomalies([anomaly]));
            moments.entry(end + NEXT_LOOK).or_default();
        }
    }
    Ok(moments)
}

async fn windows(history: &dyn RuleHistory, rule: &AlertRule, window_s: u64, range: TimeRange) -> Result<Moments> {
    let length_s = u64::try_from((range.to - range.from).num_seconds()).unwrap_or(0);
    let steps = window_s / STEP_MIN_S.max(length_s / MOMENTS_MAX);
    let steps = u32::try_from(steps).unwrap_or(STEPS_OF_WINDOW).clamp(1, STEPS_OF_WINDOW);
    let windows = SlidingWindows::read(history, rule.topic.as_deref(), window_s, steps, range).await?;
    let facts = windows.facts().map(|(at, window)| (at, vec![Facts { windows: vec![window], ..Facts::of_rule(rule) }]));
    Ok(facts.collect())
}

async fn first_mention(history: &dyn RuleHistory, rule: &AlertRule, phrase: &str, range: TimeRange) -> Result<Moments> {
    let mut moments = Moments::new();
    if let Some(first) = history.first_mention(rule.topic.as_deref(), phrase, None).await?
        && range.from <= first
        && first < range.to
    {
        let mut facts = Facts::of_rule(rule);
        facts.add_first_mention(phrase, first);
        moments.insert(first, vec![facts]);
    }
    Ok(moments)
}

/// The moments at which a source had been silent for long enough, and those of its return.
async fn silence(
    history: &dyn RuleHistory,
    rule: &AlertRule,
    source: &str,
    silent_s: u64,
    range: TimeRange,
) -> Result<Moments> {
    let silent = seconds(silent_s);
    // A silence that lasts long enough within the range may have begun before it.
    let received = history.received(source, TimeRange { from: range.from - silent, ..range }).await?;
    let last_received = |at| {
        let mut facts = Facts::of_rule(rule);
        facts.add_source(source, at);
        vec![facts]
    };
    let mut moments = Moments::new();
    for (index, last) in received.iter().enumerate() {
        let next = received.get(index + 1).copied().unwrap_or(range.to);
        if next - *last >= silent {
            moments.insert(*last + silent, last_received(*last));
            moments.insert(next, last_received(next));
        }
    }
    Ok(moments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::WindowFacts;
    use domain::{EnrichedBatch, EnrichedPost, Enrichment, PostTable};
    use testkit::MemoryLake;
    use testkit::posts::{noon, post};

    /// A post every minute for four hours; ten times as many in the third.
    async fn history() -> MemoryLake {
        let lake = MemoryLake::default();
        let seconds = (0..4 * 3600).filter(|second| second % if (7200..10_800).contains(second) { 6 } else { 60 } == 0);
        let posts: Vec<EnrichedPost> = (1..).zip(seconds).map(|(number, second)| enriched(number, second)).collect();
        let last_offset = posts.len() as u64;
        let (partition, posts) = ("posts".into(), Arc::new(posts));
        lake.commit(EnrichedBatch { partition, after_offset: 0, last_offset, posts, deletions: Vec::new() })
            .await
            .unwrap();
        lake
    }

    fn enriched(offset: u64, second: i64) -> EnrichedPost {
        let mut post = post(&offset.to_string(), if second < 7200 { "late" } else { "late, a recall" });
        post.occurred_at = noon() + TimeDelta::seconds(second);
        post.received_at = post.occurred_at;
        EnrichedPost {
            offset,
            enriched_at: post.received_at,
            post,
            enrichment: Enrichment::default(),
            topics: vec!["trains".into()],
            place: None,
            author_place: None,
        }
    }

    fn rule(topic: Option<&str>, condition: Condition) -> AlertRule {
        AlertRule {
            name: "rule".into(),
            topic: topic.map(str::to_owned),
            condition,
            channels: vec!["log".into()],
            cooldown_s: 0,
            quiet_hours: None,
            enabled: false,
        }
    }

    async fn opened_at(condition: Condition) -> Vec<i64> {
        let rule = rule(Some("trains"), condition);
        let range = TimeRange { from: noon(), to: noon() + TimeDelta::hours(5) };
        let alerts = back_test(&history().await, &rule, range).await.unwrap();
        alerts.iter().map(|alert| (alert.opened_at - noon()).num_minutes()).collect()
    }

    #[tokio::test]
    async fn a_rule_opens_when_its_condition_holds() {
        // A window moves by 5 minutes; with 5 minutes of the third hour it holds 50 + 55 posts.
        let threshold = |mentions_min| Condition::Threshold { mentions_min, window_s: 3600 };
        assert_eq!(opened_at(threshold(105)).await, [125]);
        assert_eq!(opened_at(threshold(601)).await, [0_i64; 0]);
        assert_eq!(opened_at(Condition::FirstMention { phrase: "Recall".into() }).await, [120]);
        assert_eq!(opened_at(Condition::Silence { source: "test".into(), silent_s: 1800 }).await, [269]);
        let change = Condition::Change { percent_min: 500.0, window_s: 3600, mentions_min: 100 };
        assert_eq!(opened_at(change).await.len(), 1);
    }

    #[tokio::test]
    async fn a_silence_that_began_before_the_range_is_found() {
        let rule = rule(Some("trains"), Condition::Silence { source: "test".into(), silent_s: 1800 });
        let range = TimeRange { from: noon() + TimeDelta::minutes(255), to: noon() + TimeDelta::hours(5) };
        let alerts = back_test(&history().await, &rule, range).await.unwrap();
        let opened_at: Vec<Timestamp> = alerts.iter().map(|alert| alert.opened_at).collect();
        assert_eq!(opened_at, [noon() + TimeDelta::minutes(269)]);
    }

    #[tokio::test]
    async fn one_incident_is_one_alert_and_no_one_is_notified() {
        let moment = |hour: i64| {
            let mentions = if matches!(hour, 3 | 4 | 20) { 120 } else { 10 };
            let window = WindowFacts { window_s: 3600, mentions, mentions_before: 10, negative: 0 };
            (noon() + TimeDelta::hours(hour), vec![Facts { windows: vec![window], ..Facts::default() }])
        };
        let moments: Vec<_> = (0..24).map(moment).collect();
        let alerts = async |mentions_min| {
            let rule = rule(None, Condition::Threshold { mentions_min, window_s: 3600 });
            judge(&rule, Policy::default(), moments.clone()).await.unwrap()
        };
        let opened = alerts(100).await;
        let opened_at: Vec<Timestamp> = opened.iter().map(|alert| alert.opened_at).collect();
        assert_eq!(opened_at, [moments[3].0, moments[20].0], "hours 3 and 4 are one alert, hour 20 another");
        assert_eq!(opened[0].resolved_at, Some(moments[7].0));
        assert!(opened.iter().all(|alert| alert.notified.is_empty()));
        assert!(alerts(121).await.is_empty());
    }
}
