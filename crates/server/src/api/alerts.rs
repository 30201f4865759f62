//! Alerts: what rules opened, who was told, and taking them in hand.

use super::anomalies::{AnomalyView, with_ids};
use super::{Analyst, Body, Params, Viewer};
use crate::answers::{each, micros};
use crate::app::App;
use crate::error::Error;
use crate::filter::{Dimension, Filter, FilterParams};
use crate::operations::{AlertNow, Undelivered};
use crate::query::{literal, time};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use domain::Alert;
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

impl AlertView {
    /// Takes over what changed since the lake's table was written.
    fn as_now(&mut self, now: AlertNow) {
        let AlertNow { alert, undelivered } = now;
        self.state = alert.state.as_str().to_owned();
        (self.updated_at, self.resolved_at) = (Some(alert.updated_at), alert.resolved_at);
        self.notified = alert.notified.into_iter().map(|(channel, at)| Told { channel, at }).collect();
        self.undelivered = undelivered;
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertsParams {
    /// Only alerts in this state.
    state: Option<String>,
    /// 1 to 500; 100 when left out.
    limit: Option<usize>,
}

/// Alerts, the newest first: those opened in the range, and those that are still open whatever their time.
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", params(FilterParams, AlertsParams),
    responses((status = 200, body = Vec<AlertView>)))]
pub(crate) async fn alerts(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<AlertsParams>,
) -> Result<Json<Vec<AlertView>>, Error> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Error::bad_field("limit", "limit lies between 1 and 500."));
    }
    let sql = statement(&filter, params.state.as_deref(), limit)?;
    let rows = app.answers.ask(sql, limit, app.clock.now()).await?;
    let ids: Vec<String> = each(&rows).flat_map(|row| row.texts("anomaly_ids")).collect();
    let anomalies = with_ids(&app, &ids).await?;
    let mut views: Vec<AlertView> = each(&rows)
        .map(|row| {
            let of_alert = row.texts("anomaly_ids");
            let notified: Vec<(String, DateTime<Utc>)> = row.json("notified");
            AlertView {
                alert_id: row.text("alert_id").unwrap_or_default(),
                rule: row.text("rule").unwrap_or_default(),
                topic: row.text("topic"),
                state: row.text("state").unwrap_or_default(),
                severity: row.text("severity").unwrap_or_default(),
                title: row.text("title").unwrap_or_default(),
                opened_at: row.time("opened_at").unwrap_or(DateTime::UNIX_EPOCH),
                updated_at: row.time("updated_at"),
                resolved_at: row.time("resolved_at"),
                notified: notified.into_iter().map(|(channel, at)| Told { channel, at }).collect(),
                undelivered: Vec::new(),
                anomalies: anomalies.iter().filter(|one| of_alert.contains(&one.anomaly_id)).cloned().collect(),
            }
        })
        .collect();
    let ids: Vec<String> = views.iter().map(|view| view.alert_id.clone()).collect();
    for now in app.operations.alerts_now(&ids).await.map_err(Error::of_port)? {
        if let Some(view) = views.iter_mut().find(|view| view.alert_id == now.alert.id) {
            view.as_now(now);
        }
    }
    if let Some(state) = &params.state {
        views.retain(|view| view.state == *state);
    }
    Ok(Json(views))
}

fn statement(filter: &Filter, state: Option<&str>, limit: usize) -> Result<String, Error> {
    let range = filter.range;
    let mut conditions = vec![format!(
        "(state = 'open' OR (event_date BETWEEN DATE '{}' AND DATE '{}' AND opened_at >= {} AND opened_at < {}))",
        range.from.date_naive(),
        (range.to - Duration::microseconds(1)).date_naive(),
        time(range.from),
        time(range.to)
    )];
    match state {
        None => {}
        Some(state) if ["open", "acknowledged", "silenced", "resolved"].contains(&state) => {
            conditions.push(format!("state = {}", literal(state)));
        }
        Some(_) => return Err(Error::bad_field("state", "A state is open, acknowledged, silenced or resolved.")),
    }
    let topics = filter.of(Dimension::Topic);
    if !topics.is_empty() {
        let topics = topics.iter().map(|topic| literal(topic)).collect::<Vec<_>>().join(", ");
        conditions.push(format!("topic IN ({topics})"));
    }
    Ok(format!(
        "SELECT alert_id, rule, topic, state, severity, title, {}, {}, {}, anomaly_ids, notified FROM alerts \
         WHERE {} ORDER BY opened_at DESC, alert_id LIMIT {limit}",
        micros("opened_at"),
        micros("updated_at"),
        micros("resolved_at"),
        conditions.join(" AND ")
    ))
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

/// Takes an alert in hand: no more notifications of it.
#[utoipa::path(post, path = "/api/alerts/acknowledge", tag = "alerts", request_body = Acknowledgement,
    responses((status = 204)))]
pub(crate) async fn acknowledge(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(body): Body<Acknowledgement>,
) -> Result<StatusCode, Error> {
    found("alert_id", app.operations.acknowledge(&body.alert_id, &who.name).await)
}

/// Silences an alert for a while.
#[utoipa::path(post, path = "/api/alerts/silence", tag = "alerts", request_body = Silence, responses((status = 204)))]
pub(crate) async fn silence(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Body(body): Body<Silence>,
) -> Result<StatusCode, Error> {
    if !(1..=43_200).contains(&body.minutes) {
        return Err(Error::bad_field("minutes", "An alert is silenced for 1 minute to 30 days."));
    }
    let until = app.clock.now() + Duration::minutes(body.minutes);
    found("alert_id", app.operations.silence(&body.alert_id, until, &who.name).await)
}
