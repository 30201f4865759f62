//! From an incident to the anomaly that people read: the evidence is asked of the lake, `detect` says what it means.

use super::Watch;
use super::counts::{Dimension, SeriesKey, Stretch};
use super::evidence;
use chrono::Duration;
use detect::Change;
use domain::{Anomaly, Result, Timestamp};

/// Tells one change of one incident.
pub(super) async fn tell(
    watch: &Watch,
    key: &SeriesKey,
    change: &Change,
    interval_s: u32,
    now: Timestamp,
) -> Result<Anomaly> {
    let incident = change.incident();
    let to = incident.last + Duration::seconds(i64::from(interval_s));
    let within = Stretch { from: incident.onset, to };
    let question = evidence::gather(watch.analytics.as_ref(), key, within, incident.expected_total).await?;
    let mut explanation = detect::explain(&question);
    if matches!(key.part, Some((Dimension::Sentiment, _))) {
        // Of negative mentions all are negative.
        (explanation.negative_share, explanation.negative_share_before) = (None, None);
    }
    let sentence =
        detect::sentence(&key.subject(), incident.kind, within.from, within.to, watch.config.time_zone, &explanation);
    let ended = matches!(change, Change::Ended(_) | Change::Adopted(_));
    Ok(Anomaly {
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
    })
}
