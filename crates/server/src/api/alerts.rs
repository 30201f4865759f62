//! Alerts: what rules opened, who was told, and taking them in hand.

use super::anomalies::AnomalyView;
use super::{Analyst, Body, Filtered, Viewer};
use crate::app::App;
use crate::error::Error;
use crate::filter::FilterParams;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use domain::analytics::AlertsQuery;
use domain::{Alert, AlertNow, AlertState, Dimension, Undelivered};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A channel that was told, and when.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Told {
    channel: String,
    at: DateTime<Utc>,
}

/// One opening of a rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AlertView {
    alert_id: String,
    rule: String,
    topic: Option<String>,
    /// `open`, `acknowledged`, `silenced` or `resolved`.
    state: String,
    severity: String,
    title: String,
    opened_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
    resolved_at: Option<DateTime<Utc>>,
    notified: Vec<Told>,
    /// Channels that were not reached, and why.
    undelivered: Vec<Undelivered>,
    anomalies: Vec<AnomalyView>,
}

impl Told {
    fn of((channel, at): &(String, DateTime<Utc>)) -> Self {
        Self { channel: channel.clone(), at: *at }
    }
}

impl AlertView {
    fn of(alert: &Alert) -> Self {
        Self {
            alert_id: alert.id.clone(),
            rule: alert.rule.clone(),
            topic: alert.topic.clone(),
            state: alert.state.as_str().to_owned(),
            severity: alert.severity.as_str().to_owned(),
            title: alert.title.clone(),
            opened_at: alert.opened_at,
            updated_at: Some(alert.updated_at),
            resolved_at: alert.resolved_at,
            notified: alert.notified.iter().map(Told::of).collect(),
            undelivered: Vec::new(),
            anomalies: alert.anomalies.iter().map(AnomalyView::of).collect(),
        }
    }

    /// Takes over what changed since the lake's table was written.
    fn as_now(&mut self, now: AlertNow) {
        let AlertNow { alert, undelivered } = now;
        self.state = alert.state.as_str().to_owned();
        (self.updated_at, self.resolved_at) = (Some(alert.updated_at), alert.resolved_at);
        self.notified = alert.notified.iter().map(Told::of).collect();
        self.undelivered = undelivered;
    }
}

/// Most alerts of an answer.
const LIMIT_MAX: usize = 500;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertsParams {
    /// Only alerts in this state.
    state: Option<String>,
    /// 1 to 500 (default 100).
    limit: Option<usize>,
}

/// Alerts, newest first: those opened in the range, and all that are still open.
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", params(FilterParams, AlertsParams),
    responses((status = 200, body = Vec<AlertView>)))]
pub(crate) async fn alerts(
    State(app): State<Arc<App>>,
    _: Viewer,
    Filtered(filter, params): Filtered<AlertsParams>,
) -> Result<Json<Vec<AlertView>>, Error> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::bad_field("limit", "limit must be between 1 and 500."));
    }
    let state = params.state.as_deref().map(parse_state).transpose()?;
    let topics = filter.selection.of(Dimension::Topic).to_vec();
    let query = AlertsQuery { range: filter.selection.range, topics, state, limit };
    let stored = app.answers.ask(&query, app.clock.now()).await?;
    let mut views: Vec<AlertView> = stored.iter().map(AlertView::of).collect();
    if state.is_some() {
        // An alert that has just come into this state is in another one in the lake.
        let query = AlertsQuery { state: None, limit: LIMIT_MAX, ..query };
        let others = app.answers.ask(&query, app.clock.now()).await?;
        let is_new = |alert: &&Alert| stored.iter().all(|known| known.id != alert.id);
        views.extend(others.iter().filter(is_new).map(AlertView::of));
    }
    let ids: Vec<String> = views.iter().map(|view| view.alert_id.clone()).collect();
    for now in app.ports.alerts.alerts_now(&ids).await.map_err(Error::of_port)? {
        if let Some(view) = views.iter_mut().find(|view| view.alert_id == now.alert.id) {
            view.as_now(now);
        }
    }
    if let Some(state) = &params.state {
        views.retain(|view| view.state == *state);
        views.sort_by(|a, b| b.opened_at.cmp(&a.opened_at).then_with(|| a.alert_id.cmp(&b.alert_id)));
        views.truncate(limit);
    }
    Ok(Json(views))
}

fn parse_state(state: &str) -> Result<AlertState, Error> {
    use AlertState::{Acknowledged, Open, Resolved, Silenced};
    let known = [Open, Acknowledged, Silenced, Resolved].into_iter().find(|known| known.as_str() == state);
    known.ok_or_else(|| Error::bad_field("state", "A state is open, acknowledged, silenced or resolved."))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    alert_id: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silence {
    alert_id: String,
    /// Minutes from now, 1 to 43,200 (thirty days).
    minutes: i64,
}

fn found(field: &str, alert: domain::Result<Option<Alert>>) -> Result<StatusCode, Error> {
    match alert.map_err(|error| Error::of_input(field, error))? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Error::not_found("There is no such alert.")),
    }
}

/// Acknowledges an alert, which stops its notifications.
#[utoipa::path(post, path = "/api/alerts/acknowledge", tag = "alerts", request_body = Acknowledgement,
    responses((status = 204)))]
pub(crate) async fn acknowledge(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(body): Body<Acknowledgement>,
) -> Result<StatusCode, Error> {
    found("alert_id", app.ports.alerts.acknowledge(&body.alert_id, &who.name).await)
}

/// Silences an alert for some minutes.
#[utoipa::path(post, path = "/api/alerts/silence", tag = "alerts", request_body = Silence, responses((status = 204)))]
pub(crate) async fn silence(
    State(app): State<Arc<App>>,
    _: Analyst,
    Body(body): Body<Silence>,
) -> Result<StatusCode, Error> {
    if !(1..=43_200).contains(&body.minutes) {
        return Err(Error::bad_field("minutes", "An alert is silenced for 1 minute to 30 days."));
    }
    let until = app.clock.now() + Duration::minutes(body.minutes);
    found("alert_id", app.ports.alerts.silence(&body.alert_id, until).await)
}
