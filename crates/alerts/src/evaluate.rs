//! One rule against one set of facts: does it fire, and with which words. Pure.

use crate::facts::{Facts, WindowFacts};
use domain::{AlertRule, Anomaly, Condition, Severity, Timestamp};

/// A rule that fires.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// Where it began, when the facts tell; else the moment it was noticed counts.
    pub onset: Option<Timestamp>,
    /// The anomalies behind it.
    pub anomalies: Vec<Anomaly>,
}

/// Whether `rule` fires on `facts` at `now`. A disabled rule, or one of another topic, never does.
pub fn evaluate(rule: &AlertRule, facts: &Facts, now: Timestamp) -> Option<Finding> {
    if !rule.enabled || (rule.topic.is_some() && rule.topic != facts.topic) {
        return None;
    }
    let topic = facts.topic.as_deref().unwrap_or("all topics");
    match &rule.condition {
        Condition::Anomaly { severity_min } => anomaly(*severity_min, facts),
        Condition::Threshold { mentions_min, window_s } => {
            let window = window(facts, *window_s)?;
            (window.mentions >= *mentions_min).then(|| {
                let title = format!("{} mentions of {topic} within {}", window.mentions, duration(*window_s));
                plain(Severity::Medium, title)
            })
        }
        Condition::Change { percent_min, window_s, mentions_min } => {
            change(facts, topic, *percent_min, *window_s, *mentions_min)
        }
        Condition::NegativeShare { share_min, window_s, mentions_min } => {
            let window = window(facts, *window_s)?;
            let share = window.negative as f64 / window.mentions.max(1) as f64;
            (window.mentions >= (*mentions_min).max(1) && share >= *share_min).then(|| {
                let (percent, span) = ((share * 100.0).round(), duration(*window_s));
                plain(
                    Severity::High,
                    format!("{percent} % of {} mentions of {topic} within {span} are negative", window.mentions),
                )
            })
        }
        Condition::FirstMention { phrase } => {
            facts.first_mentions.iter().find(|(mentioned, _)| mentioned.to_lowercase() == phrase.to_lowercase()).map(
                |(_, at)| Finding {
                    onset: Some(*at),
                    ..plain(
                        Severity::Medium,
                        format!("\u{201c}{phrase}\u{201d} is mentioned for the first time in {topic}"),
                    )
                },
            )
        }
        Condition::Silence { source, silent_s } => {
            let fact = facts.sources.iter().find(|fact| fact.source == *source)?;
            let silent = u64::try_from((now - fact.last_received_at).num_seconds()).unwrap_or(0);
            (silent >= *silent_s).then(|| Finding {
                onset: Some(fact.last_received_at),
                ..plain(Severity::High, format!("source {source} has brought nothing for {}", duration(silent)))
            })
        }
    }
}

fn anomaly(severity_min: Severity, facts: &Facts) -> Option<Finding> {
    let anomalies: Vec<Anomaly> = facts.anomalies.iter().filter(|a| a.severity >= severity_min).cloned().collect();
    let worst = anomalies.iter().max_by(|a, b| {
        (a.severity, a.score).partial_cmp(&(b.severity, b.score)).unwrap_or(std::cmp::Ordering::Equal)
    })?;
    let onset = anomalies.iter().map(|a| a.onset).min();
    Some(Finding { severity: worst.severity, title: worst.sentence.clone(), onset, anomalies })
}

fn change(facts: &Facts, topic: &str, percent_min: f64, window_s: u64, mentions_min: u64) -> Option<Finding> {
    let window = window(facts, window_s)?;
    if window.mentions.max(window.mentions_before) < mentions_min || window.mentions_before == 0 {
        return None;
    }
    let percent = (window.mentions as f64 / window.mentions_before as f64 - 1.0) * 100.0;
    (percent.abs() >= percent_min).then(|| {
        let way = if percent > 0.0 { "up" } else { "down" };
        let (size, span) = (percent.abs().round(), duration(window_s));
        let counts = format!("{} against {}", window.mentions, window.mentions_before);
        plain(Severity::Medium, format!("mentions of {topic} are {way} {size} % within {span} ({counts})"))
    })
}

fn plain(severity: Severity, title: String) -> Finding {
    Finding { severity, title, onset: None, anomalies: Vec::new() }
}

fn window(facts: &Facts, window_s: u64) -> Option<WindowFacts> {
    facts.windows.iter().copied().find(|window| window.window_s == window_s)
}

/// A length of time in the largest unit that fits: `90 min`, `2 h`, `3 days`.
fn duration(seconds: u64) -> String {
    match seconds {
        s if s >= 172_800 => format!("{} days", s / 86_400),
        s if s >= 7200 => format!("{} h", s / 3600),
        s if s >= 120 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
