//! Alert rules: listed, edited, and tried on history before they are kept.

use super::{Analyst, Body, QUERY, Viewer};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use domain::{AlertRule, Condition};
use serde::{Deserialize, Serialize};
use state::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// A rule without its name, which is in the address.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleBody {
    /// None: every topic.
    topic: Option<String>,
    condition: Condition,
    /// Names of configured channels.
    channels: Vec<String>,
    /// No second notification of the rule for one topic within this time.
    cooldown_s: u64,
    /// Local hours in which only critical alerts go out: `22:00-07:00 Europe/Berlin`.
    quiet_hours: Option<String>,
    enabled: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RuleView {
    name: String,
    /// Saved here; others stand in the configuration, or hold because there is no rule at all. Saving one makes it ours.
    saved: bool,
    /// Why it can't be judged at the moment; none: it is.
    problem: Option<String>,
    // As in `RuleBody`, one by one: a schema that lets no other property in can't be part of a larger one.
    /// None: every topic.
    topic: Option<String>,
    condition: Condition,
    /// Names of configured channels.
    channels: Vec<String>,
    cooldown_s: u64,
    quiet_hours: Option<String>,
    enabled: bool,
}

impl RuleBody {
    /// The rule under that name, if it is one that can be judged.
    fn checked(self, name: String, channels: Option<Vec<String>>) -> Result<AlertRule, Error> {
        let rule = AlertRule {
            name,
            topic: self.topic,
            condition: self.condition,
            channels: self.channels,
            cooldown_s: self.cooldown_s,
            quiet_hours: self.quiet_hours,
            enabled: self.enabled,
        };
        let rule = rule.trimmed();
        match channels {
            Some(channels) => rule.check(&channels)?,
            None => rule.check_itself()?,
        }
        Ok(rule)
    }
}

impl RuleView {
    fn of(rule: AlertRule, saved: bool) -> Self {
        let AlertRule { name, topic, condition, channels, cooldown_s, quiet_hours, enabled } = rule;
        Self { name, saved, problem: None, topic, condition, channels, cooldown_s, quiet_hours, enabled }
    }
}

/// All rules.
#[utoipa::path(get, path = "/api/rules", tag = "alerts", responses((status = 200, body = Vec<RuleView>)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<RuleView>>, Error> {
    let saved = Rules::new(app.state.as_ref()).list_readable().await.map_err(Error::of_port)?;
    let judged = app.ports.alerts.rules().await.map_err(Error::of_port)?;
    let mut views = BTreeMap::new();
    for rule in judged {
        views.insert(rule.name.clone(), RuleView::of(rule, false));
    }
    for rule in saved {
        let fault = rule.check_itself().err().map(|fault| format!("is not judged: {}", fault.message));
        views.insert(rule.name.clone(), RuleView { problem: fault, ..RuleView::of(rule, true) });
    }
    for (name, problem) in app.ports.alerts.rule_problems().await.map_err(Error::of_port)? {
        if let Some(view) = views.get_mut(&name) {
            view.problem = Some(problem);
        }
    }
    Ok(Json(views.into_values().collect()))
}

/// Adds or replaces a rule.
#[utoipa::path(put, path = "/api/rules/{name}", tag = "alerts", params(("name" = String, Path)),
    request_body = RuleBody, responses((status = 204)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
    Body(body): Body<RuleBody, QUERY>,
) -> Result<StatusCode, Error> {
    let rule = body.checked(name, Some(app.ports.alerts.channels()))?;
    let name = rule.name.clone();
    Rules::new(app.state.as_ref()).save(rule).await?;
    tracing::info!(rule = name, by = who.name, "rule saved");
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a rule. Its open alerts are kept.
#[utoipa::path(delete, path = "/api/rules/{name}", tag = "alerts", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    if !Rules::new(app.state.as_ref()).delete(&name).await.map_err(Error::of_port)? {
        return Err(Error::not_found("There is no rule with this name."));
    }
    tracing::info!(rule = name, by = who.name, "rule removed");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackTest {
    rule: RuleBody,
    /// Days of history, 1 to 90.
    days: i64,
}

/// An alert that the rule would have opened.
#[derive(Serialize, ToSchema)]
pub(crate) struct WouldBeAlert {
    topic: Option<String>,
    severity: String,
    title: String,
    opened_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
}

/// Back-tests a rule: the alerts that it would have opened in the last days.
#[utoipa::path(post, path = "/api/rules/back-test", tag = "alerts", request_body = BackTest,
    responses((status = 200, body = Vec<WouldBeAlert>)))]
pub(crate) async fn back_test(
    State(app): State<Arc<App>>,
    _: Analyst,
    Body(body): Body<BackTest, QUERY>,
) -> Result<Json<Vec<WouldBeAlert>>, Error> {
    if !(1..=90).contains(&body.days) {
        return Err(Error::bad_field("days", "A rule is tried on 1 to 90 days of history."));
    }
    // Nobody is told of what would have been: the channels don't matter.
    let rule = body.rule.checked("back-test".into(), None)?;
    let to = app.clock.now();
    let alerts = app.ports.alerts.back_test(&rule, to - Duration::days(body.days), to).await;
    let views = alerts.map_err(|error| Error::of_input("rule", error))?.into_iter().map(|alert| WouldBeAlert {
        topic: alert.topic,
        severity: alert.severity.as_str().to_owned(),
        title: alert.title,
        opened_at: alert.opened_at,
        resolved_at: alert.resolved_at,
    });
    Ok(Json(views.collect()))
}
