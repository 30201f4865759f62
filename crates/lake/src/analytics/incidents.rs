//! Anomalies and alerts as they were stored.

use super::cells::dimension;
use super::columns::{Columns, at, list, text, time, word};
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
    let columns = Columns(batch);
    let [ids, topics, categories] = [columns.texts("anomaly_id")?, columns.texts("topic")?, columns.texts("category")?];
    let [severities, sentences] = [columns.texts("severity")?, columns.texts("sentence")?];
    let [drivers, examples] = [columns.texts("drivers")?, columns.texts("examples")?];
    let [dimensions, values] = [columns.texts("dimension")?, columns.texts("value")?];
    let [onsets, ends, detected] =
        [columns.micros("onset")?, columns.micros("ended_at")?, columns.micros("detected_at")?];
    let numbers = ["observed", "expected", "lower", "upper", "score"].map(|name| columns.doubles(name));
    let numbers = numbers.into_iter().collect::<Result<Vec<_>>>()?;
    let intervals = columns.longs("interval_s")?;
    let of_row = |row| {
        let number = |nth: usize| at(&numbers[nth], row).unwrap_or_default();
        let onset = time(&onsets, row).unwrap_or_default();
        let slice = at(&dimensions, row).and_then(dimension).zip(at(&values, row));
        Anomaly {
            id: text(&ids, row),
            topic: text(&topics, row),
            category: at(&categories, row).map(str::to_owned),
            slice: slice.map(|(dimension, value)| Slice { dimension, value: value.to_owned() }),
            interval_s: at(&intervals, row).and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default(),
            onset,
            end: time(&ends, row),
            observed: number(0),
            expected: number(1),
            lower: number(2),
            upper: number(3),
            score: number(4),
            severity: at(&severities, row).and_then(word).unwrap_or(Severity::Low),
            sentence: text(&sentences, row),
            drivers: json(at(&drivers, row)),
            examples: json(at(&examples, row)),
            detected_at: time(&detected, row).unwrap_or(onset),
        }
    };
    Ok((0..batch.num_rows()).map(of_row).collect())
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
    let columns = Columns(batch);
    let [ids, rules, topics] = [columns.texts("alert_id")?, columns.texts("rule")?, columns.texts("topic")?];
    let [states, severities, titles] = [columns.texts("state")?, columns.texts("severity")?, columns.texts("title")?];
    let [opened, updated, resolved] =
        [columns.micros("opened_at")?, columns.micros("updated_at")?, columns.micros("resolved_at")?];
    let (anomalies, notified) = (columns.lists("anomaly_ids")?, columns.texts("notified")?);
    let of_row = |row| {
        let opened_at: Timestamp = time(&opened, row).unwrap_or_default();
        let alert = Alert {
            id: text(&ids, row),
            rule: text(&rules, row),
            topic: at(&topics, row).map(str::to_owned),
            state: at(&states, row).and_then(word).unwrap_or(AlertState::Open),
            opened_at,
            updated_at: time(&updated, row).unwrap_or(opened_at),
            resolved_at: time(&resolved, row),
            severity: at(&severities, row).and_then(word).unwrap_or(Severity::Low),
            title: text(&titles, row),
            anomalies: Vec::new(),
            notified: json(at(&notified, row)),
        };
        (alert, list(&anomalies, row))
    };
    Ok((0..batch.num_rows()).map(of_row).collect())
}
