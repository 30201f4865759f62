//! What was noticed: anomalies with their story.

use super::{Filtered, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::FilterParams;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::analytics::AnomaliesQuery;
use domain::{Anomaly, Dimension, Driver, ExamplePost, Selection, driver_name};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A value of a dimension that accounts for part of the change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DriverView {
    dimension: String,
    value: String,
    observed: f64,
    expected: f64,
    /// Share of the change that it accounts for, 0 to 1.
    contribution: f64,
    /// Not present in the baseline.
    new: bool,
}

/// An example post of an anomaly.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ExampleView {
    post_id: String,
    text: String,
    url: Option<String>,
    sentiment: Option<String>,
    /// Posts that say nearly the same, this one included.
    copies: u32,
}

/// An unusual number of mentions, with its expected value, drivers and examples.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AnomalyView {
    anomaly_id: String,
    topic: String,
    category: Option<String>,
    /// Dimension of the series, if it is not a category: `sentiment`, `platform`, `language` or `country`.
    dimension: Option<String>,
    /// Value of `dimension`.
    value: Option<String>,
    /// Interval length in seconds.
    interval_s: i64,
    onset: DateTime<Utc>,
    /// Null while it is ongoing.
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

impl AnomalyView {
    pub(super) fn of(anomaly: &Anomaly) -> Self {
        let slice = anomaly.slice.as_ref();
        Self {
            anomaly_id: anomaly.id.clone(),
            topic: anomaly.topic.clone(),
            category: anomaly.category.clone(),
            dimension: slice.map(|slice| slice.dimension.to_string()),
            value: slice.map(|slice| slice.value.clone()),
            interval_s: anomaly.interval_s.into(),
            onset: anomaly.onset,
            ended_at: anomaly.end,
            observed: anomaly.observed,
            expected: anomaly.expected,
            lower: anomaly.lower,
            upper: anomaly.upper,
            score: anomaly.score,
            severity: anomaly.severity.as_str().to_owned(),
            sentence: anomaly.sentence.clone(),
            drivers: anomaly.drivers.iter().map(DriverView::of).collect(),
            examples: anomaly.examples.iter().map(ExampleView::of).collect(),
            detected_at: Some(anomaly.detected_at),
        }
    }
}

impl DriverView {
    fn of(driver: &Driver) -> Self {
        Self {
            dimension: driver_name(driver.dimension).to_owned(),
            value: driver.value.clone(),
            observed: driver.observed,
            expected: driver.expected,
            contribution: driver.contribution,
            new: driver.new,
        }
    }
}

impl ExampleView {
    fn of(example: &ExamplePost) -> Self {
        Self {
            post_id: example.post_id.clone(),
            text: example.text.clone(),
            url: example.url.clone(),
            sentiment: example.sentiment.clone(),
            copies: example.copies,
        }
    }
}

/// Anomalies of the selection's topics and categories whose onset lies in its range, the newest first.
pub(super) async fn within(app: &App, selection: &Selection, limit: usize) -> Result<Vec<AnomalyView>, Error> {
    let (topics, categories) = (selection.of(Dimension::Topic).to_vec(), selection.of(Dimension::Category).to_vec());
    asked(app, AnomaliesQuery::Within { range: selection.range, topics, categories, limit }).await
}

async fn asked(app: &App, query: AnomaliesQuery) -> Result<Vec<AnomalyView>, Error> {
    let anomalies = app.answers.ask(&query, app.clock.now()).await?;
    Ok(anomalies.iter().map(AnomalyView::of).collect())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnomaliesParams {
    /// Return only this anomaly, regardless of the time range.
    anomaly_id: Option<String>,
    /// 1 to 500 (default 100).
    limit: Option<usize>,
}

/// Anomalies, newest first.
#[utoipa::path(get, path = "/api/anomalies", tag = "alerts", params(FilterParams, AnomaliesParams),
    responses((status = 200, body = Vec<AnomalyView>)))]
pub(crate) async fn anomalies(
    State(app): State<Arc<App>>,
    _: Viewer,
    Filtered(filter, params): Filtered<AnomaliesParams>,
) -> Result<Json<Vec<AnomalyView>>, Error> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Error::bad_field("limit", "limit must be between 1 and 500."));
    }
    match params.anomaly_id {
        Some(id) => asked(&app, AnomaliesQuery::Ids(vec![id])).await.map(Json),
        None => within(&app, &filter.selection, limit).await.map(Json),
    }
}
