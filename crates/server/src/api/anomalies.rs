//! What was noticed: anomalies with their story.

use super::{Params, Viewer};
use crate::answers::{Row, each, micros};
use crate::app::App;
use crate::error::Error;
use crate::filter::{Dimension, Filter, FilterParams};
use crate::query::{literal, time};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A value of a dimension that makes up part of the excess.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct DriverView {
    dimension: String,
    value: String,
    observed: f64,
    expected: f64,
    /// Share of the excess that it explains, 0 to 1.
    contribution: f64,
    /// Never seen in the baseline.
    #[serde(default)]
    new: bool,
}

/// A post that shows what an anomaly is about.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct ExampleView {
    post_id: String,
    text: String,
    url: Option<String>,
    sentiment: Option<String>,
    /// Posts that say nearly the same, this one included.
    #[serde(default)]
    copies: u32,
}

/// A change in the volume of mentions, how large against what was expected, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AnomalyView {
    pub(crate) anomaly_id: String,
    topic: String,
    category: Option<String>,
    /// What the series is limited to, where it is not a category: `sentiment`, `platform`, `language` or `country`,
    dimension: Option<String>,
    /// and its value.
    value: Option<String>,
    /// Length of the counting interval, seconds.
    interval_s: i64,
    pub(crate) onset: DateTime<Utc>,
    /// None while it goes on.
    ended_at: Option<DateTime<Utc>>,
    observed: f64,
    expected: f64,
    lower: f64,
    upper: f64,
    /// 0 to 1.
    score: f64,
    /// `low`, `medium`, `high` or `critical`.
    severity: String,
    sentence: String,
    drivers: Vec<DriverView>,
    examples: Vec<ExampleView>,
    detected_at: Option<DateTime<Utc>>,
}

fn columns() -> String {
    format!(
        "anomaly_id, topic, category, interval_s, {}, {}, observed, expected, lower, upper, score, severity, sentence, \
         drivers, examples, {}, dimension, value",
        micros("onset"),
        micros("ended_at"),
        micros("detected_at")
    )
}

fn of_row(row: &Row<'_>) -> AnomalyView {
    let number = |name| row.number(name).unwrap_or(0.0);
    AnomalyView {
        anomaly_id: row.text("anomaly_id").unwrap_or_default(),
        topic: row.text("topic").unwrap_or_default(),
        category: row.text("category"),
        dimension: row.text("dimension"),
        value: row.text("value"),
        interval_s: row.whole("interval_s").unwrap_or(0),
        onset: row.time("onset").unwrap_or(DateTime::UNIX_EPOCH),
        ended_at: row.time("ended_at"),
        observed: number("observed"),
        expected: number("expected"),
        lower: number("lower"),
        upper: number("upper"),
        score: number("score"),
        severity: row.text("severity").unwrap_or_default(),
        sentence: row.text("sentence").unwrap_or_default(),
        drivers: row.json("drivers"),
        examples: row.json("examples"),
        detected_at: row.time("detected_at"),
    }
}

/// Anomalies of the filter's topics and categories whose onset lies in its range, the newest first.
pub(super) async fn within(app: &App, filter: &Filter, limit: usize) -> Result<Vec<AnomalyView>, Error> {
    let range = filter.range;
    let mut conditions = vec![format!(
        "event_date BETWEEN DATE '{}' AND DATE '{}' AND onset >= {} AND onset < {}",
        range.from.date_naive(),
        (range.to - Duration::microseconds(1)).date_naive(),
        time(range.from),
        time(range.to)
    )];
    for (dimension, column) in [(Dimension::Topic, "topic"), (Dimension::Category, "category")] {
        let values = filter.of(dimension);
        if !values.is_empty() {
            let values = values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
            conditions.push(format!("{column} IN ({values})"));
        }
    }
    let sql = format!(
        "SELECT {} FROM anomalies WHERE {} ORDER BY onset DESC, anomaly_id LIMIT {limit}",
        columns(),
        conditions.join(" AND ")
    );
    let rows = app.answers.ask(sql, limit, app.clock.now()).await?;
    Ok(each(&rows).map(|row| of_row(&row)).collect())
}

/// The anomalies with these ids.
pub(super) async fn with_ids(app: &App, ids: &[String]) -> Result<Vec<AnomalyView>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list = ids.iter().map(|id| literal(id)).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {} FROM anomalies WHERE anomaly_id IN ({list}) ORDER BY onset DESC", columns());
    let rows = app.answers.ask(sql, ids.len(), app.clock.now()).await?;
    Ok(each(&rows).map(|row| of_row(&row)).collect())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnomaliesParams {
    /// Only this one, whatever its time.
    anomaly_id: Option<String>,
    /// 1 to 500; 100 when left out.
    limit: Option<usize>,
}

/// Anomalies, the newest first.
#[utoipa::path(get, path = "/api/anomalies", tag = "alerts", params(FilterParams, AnomaliesParams),
    responses((status = 200, body = Vec<AnomalyView>)))]
pub(crate) async fn anomalies(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<AnomaliesParams>,
) -> Result<Json<Vec<AnomalyView>>, Error> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Error::bad_field("limit", "limit lies between 1 and 500."));
    }
    match params.anomaly_id {
        Some(id) => with_ids(&app, &[id]).await.map(Json),
        None => within(&app, &filter, limit).await.map(Json),
    }
}
