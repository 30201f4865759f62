//! From an incident to the anomaly that people read: its numbers, and what explains them where that is known.

use super::WatchConfig;
use super::counts::{Dimension, SeriesKey};
use chrono::Duration;
use detect::{Change, Explanation};
use domain::{Anomaly, Timestamp};

/// One change of one incident; without an explanation its sentence has the numbers alone.
pub(super) fn anomaly(
    config: &WatchConfig,
    key: &SeriesKey,
    change: &Change,
    interval_s: u32,
    explanation: Option<&Explanation>,
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
    let sentence = detect::sentence(&key.subject(), incident.kind, incident.onset, to, config.time_zone, &explanation);
    let ended = matches!(change, Change::Ended(_) | Change::Adopted(_));
    Anomaly {
        id: super::anomaly_id(key, interval_s, incident),
        topic: key.topic.clone(),
        category: key.category().map(str::to_owned),
        slice: key.slice(),
        interval_s,
        onset: incident.onset,
        end: ended.then_some(to),
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
