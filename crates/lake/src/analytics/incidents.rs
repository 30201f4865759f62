//! Anomalies and alerts as they were stored.

use super::cells::Cells;
use super::sql::{literal, literals, time_in_range};
use crate::lake::Lake;
use arrow::array::RecordBatch;
use domain::analytics::{AlertsQuery, AnomaliesQuery};
use domain::{Alert, AlertState, Anomaly, Result, Severity, Slice, Timestamp};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

pub(super) async fn anomalies(lake: &Lake, query: &AnomaliesQuery) -> Result<Vec<Anomaly>> {
    let meant = match query {
        AnomaliesQuery::Ids(ids) if ids.is_empty() => return Ok(Vec::new()),
        AnomaliesQuery::Ids(ids) => {
            let listed = literals(ids.iter().map(String::as_str));
            format!("anomaly_id IN ({listed}) ORDER BY onset DESC, anomaly_id")
        }
        AnomaliesQuery::Within { range, topics, categories, limit } => {
            let (topics, categories) = (one_of("topic", topics), one_of("category", categories));
            let range = time_in_range("onset", *range);
            format!("{range}{topics}{categories} ORDER BY onset DESC, anomaly_id LIMIT {limit}")
        }
    };
    anomalies_where(lake, &meant).await
}

/// Anomalies that meet conditions, which may be followed by an order and a limit.
pub(super) async fn anomalies_where(lake: &Lake, meant: &str) -> Result<Vec<Anomaly>> {
    let sql = format!(
        "SELECT anomaly_id, topic, category, interval_s, onset, ended_at, observed, expected, lower, upper, score, \
         severity, sentence, drivers, examples, detected_at, dimension, value FROM anomalies WHERE {meant}"
    );
    let mut found = Vec::new();
    for batch in lake.batches(&sql).await? {
        found.extend(anomalies_of(&batch)?);
    }
    Ok(found)
}

/// A further condition; none where any value will do.
fn one_of(column: &str, values: &[String]) -> String {
    match values.is_empty() {
        true => String::new(),
        false => format!(" AND {column} IN ({})", literals(values.iter().map(String::as_str))),
    }
}

fn anomalies_of(batch: &RecordBatch) -> Result<Vec<Anomaly>> {
    let rows = Cells::of(batch)?;
    let [id, topic, category, dimension, value] =
        rows.places(["anomaly_id", "topic", "category", "dimension", "value"])?;
    let [interval_s, onset, end, detected_at] = rows.places(["interval_s", "onset", "ended_at", "detected_at"])?;
    let numbers = rows.places(["observed", "expected", "lower", "upper", "score"])?;
    let [severity, sentence, drivers, examples] = rows.places(["severity", "sentence", "drivers", "examples"])?;
    let of_row = |row| {
        let [observed, expected, lower, upper, score] = numbers.map(|at| rows.float(at, row).unwrap_or_default());
        let onset = rows.time(onset, row).unwrap_or_default();
        let slice = rows.word(dimension, row).zip(rows.owned(value, row));
        Anomaly {
            id: rows.string(id, row),
            topic: rows.string(topic, row),
            category: rows.owned(category, row),
            slice: slice.map(|(dimension, value)| Slice { dimension, value }),
            interval_s: rows.int(interval_s, row).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default(),
            onset,
            end: rows.time(end, row),
            observed,
            expected,
            lower,
            upper,
            score,
            severity: rows.word(severity, row).unwrap_or(Severity::Low),
            sentence: rows.string(sentence, row),
            drivers: json(rows.text(drivers, row)),
            examples: json(rows.text(examples, row)),
            detected_at: rows.time(detected_at, row).unwrap_or(onset),
        }
    };
    Ok((0..rows.rows).map(of_row).collect())
}

/// JSON that is kept as text.
fn json<T: DeserializeOwned + Default>(text: Option<&str>) -> T {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(super) async fn alerts(lake: &Lake, query: &AlertsQuery) -> Result<Vec<Alert>> {
    let state = query.state.map_or_else(String::new, |state| format!(" AND state = {}", literal(state.as_str())));
    let sql = format!(
        "SELECT alert_id, rule, topic, state, severity, title, opened_at, updated_at, resolved_at, anomaly_ids, notified \
         FROM alerts WHERE (state = 'open' OR ({})){state}{} ORDER BY opened_at DESC, alert_id LIMIT {}",
        time_in_range("opened_at", query.range),
        one_of("topic", &query.topics),
        query.limit
    );
    let mut found = Vec::new();
    for batch in lake.batches(&sql).await? {
        found.extend(alerts_of(&batch)?);
    }
    let ids = found.iter().flat_map(|(_, ids)| ids.iter().cloned()).collect();
    let anomalies = anomalies(lake, &AnomaliesQuery::Ids(ids)).await?;
    let by_id: HashMap<&str, &Anomaly> = anomalies.iter().map(|anomaly| (anomaly.id.as_str(), anomaly)).collect();
    let with_anomalies = found.into_iter().map(|(alert, ids)| {
        let mut of_alert: Vec<Anomaly> = ids.iter().filter_map(|id| by_id.get(id.as_str()).copied().cloned()).collect();
        of_alert.sort_by(|a, b| b.onset.cmp(&a.onset).then_with(|| a.id.cmp(&b.id)));
        Alert { anomalies: of_alert, ..alert }
    });
    Ok(with_anomalies.collect())
}

/// Alerts, each with the ids of its anomalies.
fn alerts_of(batch: &RecordBatch) -> Result<Vec<(Alert, Vec<String>)>> {
    let rows = Cells::of(batch)?;
    let [id, rule, topic, state, severity, title] =
        rows.places(["alert_id", "rule", "topic", "state", "severity", "title"])?;
    let [opened, updated, resolved] = rows.places(["opened_at", "updated_at", "resolved_at"])?;
    let [anomalies, notified] = rows.places(["anomaly_ids", "notified"])?;
    let of_row = |row| {
        let opened_at: Timestamp = rows.time(opened, row).unwrap_or_default();
        let alert = Alert {
            id: rows.string(id, row),
            rule: rows.string(rule, row),
            topic: rows.owned(topic, row),
            state: rows.word(state, row).unwrap_or(AlertState::Open),
            opened_at,
            updated_at: rows.time(updated, row).unwrap_or(opened_at),
            resolved_at: rows.time(resolved, row),
            severity: rows.word(severity, row).unwrap_or(Severity::Low),
            title: rows.string(title, row),
            anomalies: Vec::new(),
            notified: json(rows.text(notified, row)),
        };
        (alert, rows.texts(anomalies, row))
    };
    Ok((0..rows.rows).map(of_row).collect())
}
