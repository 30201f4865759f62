//! The daily digest: one notification a day with what the last day brought, so that low alerts need no message of their own.

use crate::book::AlertBook;
use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use domain::{Alert, AlertState, Notification, Result, Severity, Timestamp};

/// When and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub channels: Vec<String>,
    /// Time of day by the clock of `zone`.
    pub at: NaiveTime,
    pub zone: Tz,
}

impl Digest {
    /// When today's digest is due; none while its time has not come.
    pub(crate) fn due(&self, now: Timestamp) -> Option<DateTime<Tz>> {
        let today = now.with_timezone(&self.zone).date_naive();
        let due = self.zone.from_local_datetime(&today.and_time(self.at)).earliest()?;
        (now >= due).then_some(due)
    }

    /// Queues today's digest once its time has come; once a day, also across restarts. Days without alerts stay silent.
    /// Says whether something was queued.
    pub async fn queue_when_due(&self, book: &AlertBook, now: Timestamp) -> Result<bool> {
        let Some(due) = self.due(now) else { return Ok(false) };
        let today = due.date_naive();
        let since = due.to_utc() - TimeDelta::days(1);
        let alerts: Vec<Alert> = book
            .alerts()
            .await?
            .into_iter()
            .map(|stored| stored.alert)
            .filter(|alert| alert.opened_at >= since && alert.opened_at < due.to_utc())
            .collect();
        if alerts.is_empty() {
            return Ok(false);
        }
        let mut queued = false;
        for channel in &self.channels {
            let alert = summary(&alerts, &today.to_string(), due.to_utc());
            let id = format!("{}:{channel}", alert.id);
            let notification = Notification { id, channel: channel.clone(), kind: "digest".into(), alert };
            queued |= book.outbox().queue(notification, now, now).await?;
        }
        Ok(queued)
    }
}

/// The day's alerts as one that every channel can show.
fn summary(alerts: &[Alert], day: &str, at: Timestamp) -> Alert {
    let lines: Vec<String> = alerts.iter().map(|alert| format!("{}: {}", alert.rule, alert.title)).collect();
    let count = match alerts.len() {
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    };
    Alert {
        id: format!("digest-{day}"),
        rule: "daily digest".into(),
        topic: None,
        state: AlertState::Resolved,
        opened_at: at,
        updated_at: at,
        resolved_at: Some(at),
        severity: alerts.iter().map(|alert| alert.severity).max().unwrap_or(Severity::Low),
        title: format!("{count} in the day to {day}. {}", lines.join(" · ")),
        anomalies: alerts.iter().flat_map(|alert| alert.anomalies.clone()).collect(),
        notified: Vec::new(),
    }
}
