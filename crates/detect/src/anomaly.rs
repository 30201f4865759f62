//! From an incident to the anomaly that people read: its numbers, and what explains them if that is known.

use crate::explain::Explanation;
use crate::incident::{Change, Incident};
use crate::sentence::sentence;
use chrono::Duration;
use chrono_tz::Tz;
use domain::{ALL_POSTS, Anomaly, Dimension, SeriesKey, Timestamp};

/// One change of an incident as an anomaly. Without an explanation its sentence has the numbers alone.
pub fn anomaly(
    key: &SeriesKey,
    change: &Change,
    interval_s: u32,
    explanation: Option<&Explanation>,
    time_zone: Tz,
    now: Timestamp,
) -> Anomaly {
    let incident = change.incident();
    let to = incident.last + Duration::seconds(i64::from(interval_s));
    // The detector's numbers are those that people were alerted by; an explanation may be of an interval before.
    let mut explanation = Explanation {
        observed: incident.observed_total,
        expected: incident.expected_total,
        ..explanation.cloned().unwrap_or_default()
    };
    if matches!(key.part, Some((Dimension::Sentiment, _))) {
        // Of negative mentions all are negative.
        (explanation.negative_share, explanation.negative_share_before) = (None, None);
    }
    let sentence = sentence(&subject(key), incident.kind, incident.onset, to, time_zone, &explanation);
    Anomaly {
        id: anomaly_id(key, interval_s, incident),
        topic: key.topic_name().to_owned(),
        category: key.category().map(str::to_owned),
        slice: key.slice(),
        interval_s,
        onset: incident.onset,
        end: change.is_over().then_some(to),
        observed: incident.observed,
        expected: incident.expected,
        lower: incident.lower,
        upper: incident.upper,
        score: incident.score,
        severity: incident.severity,
        sentence,
        drivers: [explanation.drivers, explanation.new_terms].concat(),
        examples: explanation.examples,
        detected_at: now,
    }
}

/// The id of an anomaly: the same series and onset give the same.
pub fn anomaly_id(key: &SeriesKey, interval_s: u32, incident: &Incident) -> String {
    let topic = match key.topic.as_deref() {
        // Earlier versions let people take the name of all posts.
        Some(ALL_POSTS) => "topic:everything",
        _ => key.topic_name(),
    };
    let series = match &key.part {
        None => format!("{topic}/"),
        Some((Dimension::Category, value)) => format!("{topic}/{value}"),
        Some((dimension, value)) => format!("{topic}/{}={value}", dimension.name()),
    };
    format!("{series}/{interval_s}/{}", incident.onset.timestamp())
}

/// A series' name for people: `late flight`, `late flight: negative`, `late flight: country US`.
pub(crate) fn subject(key: &SeriesKey) -> String {
    let topic = key.topic_name();
    match &key.part {
        None => topic.to_owned(),
        Some((dimension @ (Dimension::Language | Dimension::Country), value)) => {
            format!("{topic}: {} {value}", dimension.name())
        }
        Some((_, value)) => format!("{topic}: {value}"),
    }
}
