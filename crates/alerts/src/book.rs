//! The life of alerts: opened by a rule, grouped, updated, acknowledged, silenced, resolved. Every alert is a document in
//! the state store (kind `alert`), its id made of rule, topic and onset, so that observing the same facts again, even
//! after a restart, finds the alert instead of opening another.

use crate::evaluate::{Finding, evaluate};
use crate::facts::Facts;
use crate::outbox::{Outbox, from_value, into_value};
use crate::quiet::QuietHours;
use chrono::TimeDelta;
use domain::{Alert, AlertRule, AlertState, Anomaly, Notification, Result, Severity, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const KIND: &str = "alert";

/// What holds for all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Anomalies of other series whose onset lies so close to an alert's belong to the same incident.
    pub group_within_s: u64,
    /// An alert without anything new for so long is over.
    pub resolve_after_s: u64,
    /// Tell the channels when an alert is over.
    pub notify_resolved: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { group_within_s: 2 * 3600, resolve_after_s: 3 * 3600, notify_resolved: true }
    }
}

/// An alert as it is stored: the alert itself, and what only its life needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAlert {
    #[serde(flatten)]
    pub alert: Alert,
    #[serde(default)]
    pub acknowledged_by: Option<String>,
    #[serde(default)]
    pub silenced_until: Option<Timestamp>,
    /// Channels were told of it (not held back by a cooldown).
    #[serde(default)]
    pub announced: bool,
    /// When the facts last made the rule fire.
    pub fired_at: Timestamp,
}

/// Keeps the alerts and decides what is told.
#[derive(Clone)]
pub struct AlertBook {
    store: Arc<dyn StateStore>,
    outbox: Outbox,
    policy: Policy,
}

impl AlertBook {
    pub fn new(store: Arc<dyn StateStore>, policy: Policy) -> Self {
        Self { outbox: Outbox::new(store.clone()), store, policy }
    }

    /// Where the notifications wait.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Judges the facts by every rule and carries the alerts on. Gives back the alerts that changed, for the lake.
    /// One caller at a time.
    pub async fn observe(&self, rules: &[AlertRule], facts: &[Facts], now: Timestamp) -> Result<Vec<Alert>> {
        let mut alerts = self.alerts().await?;
        let mut changed = Vec::new();
        for rule in rules {
            for facts in facts {
                if let Some(finding) = evaluate(rule, facts, now) {
                    changed.extend(self.fire(rule, facts, finding, &mut alerts, now).await?);
                }
            }
        }
        for stored in &mut alerts {
            let rule = rules.iter().find(|rule| rule.name == stored.alert.rule);
            if self.pass_time(rule, stored, now).await? {
                changed.push(stored.alert.clone());
            }
        }
        Ok(changed)
    }

    /// All alerts, the newest first.
    pub async fn alerts(&self) -> Result<Vec<StoredAlert>> {
        let documents = self.store.list(KIND).await?;
        let mut alerts =
            documents.into_iter().map(|(id, value)| from_value(&id, value)).collect::<Result<Vec<StoredAlert>>>()?;
        alerts.sort_by_key(|shown| std::cmp::Reverse(shown.alert.opened_at));
        Ok(alerts)
    }

    /// Somebody takes care: no further updates are sent. None: no such alert.
    pub async fn acknowledge(&self, id: &str, who: &str, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| {
            if stored.alert.state != AlertState::Resolved {
                stored.alert.state = AlertState::Acknowledged;
                stored.acknowledged_by = Some(who.to_owned());
            }
        })
        .await
    }

    /// Nothing more of this alert until the given time; what waits in the outbox still goes out.
    pub async fn silence(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| {
            if stored.alert.state != AlertState::Resolved {
                stored.alert.state = AlertState::Silenced;
                stored.silenced_until = Some(until);
            }
        })
        .await
    }

    /// Over, by somebody's word: nothing is sent about it.
    pub async fn resolve(&self, id: &str, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| {
            stored.alert.state = AlertState::Resolved;
            stored.alert.resolved_at.get_or_insert(now);
        })
        .await
    }

    /// Queues a sample to every channel of the rule, marked as a test. Gives back the ids.
    pub async fn send_test(&self, rule: &AlertRule, now: Timestamp) -> Result<Vec<String>> {
        let alert = crate::words::sample(rule, now);
        let mut ids = Vec::new();
        for channel in &rule.channels {
            let id = format!("test-{}:{channel}:{}", rule.name, now.timestamp_millis());
            let notification =
                Notification { id: id.clone(), channel: channel.clone(), kind: "test".into(), alert: alert.clone() };
            self.outbox.queue(notification, now, now).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Notes on the alerts which channels were told; gives back the alerts that changed.
    pub async fn note_delivered(&self, delivered: &[crate::outbox::Entry], now: Timestamp) -> Result<Vec<Alert>> {
        let mut changed = Vec::new();
        for entry in delivered {
            let channel = entry.notification.channel.clone();
            let alert =
                self.change(&entry.notification.alert.id, now, |stored| stored.alert.notified.push((channel, now)));
            changed.extend(alert.await?);
        }
        Ok(changed)
    }

    async fn change(&self, id: &str, now: Timestamp, edit: impl FnOnce(&mut StoredAlert)) -> Result<Option<Alert>> {
        let Some(value) = self.store.get(KIND, id).await? else { return Ok(None) };
        let mut stored: StoredAlert = from_value(id, value)?;
        edit(&mut stored);
        stored.alert.updated_at = now;
        self.save(&stored).await?;
        Ok(Some(stored.alert))
    }

    async fn save(&self, stored: &StoredAlert) -> Result<()> {
        self.store.put(KIND, &stored.alert.id, into_value(stored)?).await
    }

    /// The rule fires: into the alert it belongs to, or into a new one.
    async fn fire(
        &self,
        rule: &AlertRule,
        facts: &Facts,
        finding: Finding,
        alerts: &mut Vec<StoredAlert>,
        now: Timestamp,
    ) -> Result<Option<Alert>> {
        if let Some(stored) = alerts.iter_mut().find(|stored| self.belongs(stored, rule, facts, &finding)) {
            return self.carry_on(rule, stored, finding, now).await;
        }
        let stored = self.open(rule, facts, finding, alerts, now).await?;
        let alert = stored.alert.clone();
        alerts.push(stored);
        Ok(Some(alert))
    }

    /// Whether a finding is the incident that an alert already tells of.
    fn belongs(&self, stored: &StoredAlert, rule: &AlertRule, facts: &Facts, finding: &Finding) -> bool {
        let alert = &stored.alert;
        if alert.rule != rule.name {
            return false;
        }
        let known = |anomaly: &Anomaly| alert.anomalies.iter().any(|a| a.id == anomaly.id);
        if finding.anomalies.iter().any(known) {
            return true;
        }
        // A rule for all topics groups over topics: one incident often shows in several.
        let same_topic = rule.topic.is_none() && !finding.anomalies.is_empty() || alert.topic == facts.topic;
        if !same_topic {
            return false;
        }
        let Some(onset) = finding.onset else { return alert.state != AlertState::Resolved };
        if alert.anomalies.is_empty() {
            return alert.id == alert_id(&rule.name, facts.topic.as_deref(), onset);
        }
        let near = TimeDelta::seconds(i64::try_from(self.policy.group_within_s).unwrap_or(i64::MAX / 1000));
        alert
            .anomalies
            .iter()
            .any(|a| onset >= a.onset - near && onset <= a.end.unwrap_or(stored.fired_at).max(a.onset) + near)
    }

    async fn open(
        &self,
        rule: &AlertRule,
        facts: &Facts,
        finding: Finding,
        alerts: &[StoredAlert],
        now: Timestamp,
    ) -> Result<StoredAlert> {
        let cooldown = TimeDelta::seconds(i64::try_from(rule.cooldown_s).unwrap_or(i64::MAX / 1000));
        let cooling = alerts.iter().any(|other| {
            other.announced
                && other.alert.rule == rule.name
                && other.alert.topic == facts.topic
                && now - other.alert.opened_at < cooldown
        });
        let alert = Alert {
            id: alert_id(&rule.name, facts.topic.as_deref(), finding.onset.unwrap_or(now)),
            rule: rule.name.clone(),
            topic: facts.topic.clone(),
            state: AlertState::Open,
            opened_at: now,
            updated_at: now,
            resolved_at: None,
            severity: finding.severity,
            title: finding.title,
            anomalies: finding.anomalies,
            notified: Vec::new(),
        };
        let stored =
            StoredAlert { alert, acknowledged_by: None, silenced_until: None, announced: !cooling, fired_at: now };
        if stored.announced {
            // Queued before the alert is saved: a crash between the two repeats the queueing, which the id makes harmless.
            self.tell(rule, &stored, "opened", now).await?;
        }
        self.save(&stored).await?;
        tracing::info!(alert.id = %stored.alert.id, announced = stored.announced, "alert opened");
        metrics::counter!("overheard_alerts_opened_total").increment(1);
        Ok(stored)
    }

    /// Takes news into an alert; a higher severity is told, anything less is only kept.
    async fn carry_on(
        &self,
        rule: &AlertRule,
        stored: &mut StoredAlert,
        finding: Finding,
        now: Timestamp,
    ) -> Result<Option<Alert>> {
        let before = stored.clone();
        for anomaly in finding.anomalies {
            match stored.alert.anomalies.iter_mut().find(|known| known.id == anomaly.id) {
                Some(known) => *known = anomaly,
                None => stored.alert.anomalies.push(anomaly),
            }
        }
        let over = !stored.alert.anomalies.is_empty() && stored.alert.anomalies.iter().all(|a| a.end.is_some());
        if !over {
            stored.fired_at = now;
        }
        let worse = finding.severity > stored.alert.severity;
        if worse {
            stored.alert.severity = finding.severity;
            stored.alert.title = finding.title;
        }
        if worse && stored.announced && stored.alert.state == AlertState::Open {
            self.tell(rule, stored, "updated", now).await?;
        }
        let news = stored.alert != before.alert;
        if news {
            stored.alert.updated_at = now;
        }
        if *stored != before {
            self.save(stored).await?;
        }
        Ok(news.then(|| stored.alert.clone()))
    }

    /// Ends silences and alerts whose time has come; says whether anything changed.
    async fn pass_time(&self, rule: Option<&AlertRule>, stored: &mut StoredAlert, now: Timestamp) -> Result<bool> {
        if stored.alert.state == AlertState::Resolved {
            return Ok(false);
        }
        let woken =
            stored.alert.state == AlertState::Silenced && stored.silenced_until.is_some_and(|until| until <= now);
        if woken {
            stored.alert.state = AlertState::Open;
            stored.silenced_until = None;
        }
        let wait = TimeDelta::seconds(i64::try_from(self.policy.resolve_after_s).unwrap_or(i64::MAX / 1000));
        let ended = !stored.alert.anomalies.is_empty() && stored.alert.anomalies.iter().all(|a| a.end.is_some());
        let over = now - stored.fired_at >= wait || (ended && now > stored.fired_at);
        if over {
            let tell = self.policy.notify_resolved && stored.announced && stored.alert.state == AlertState::Open;
            stored.alert.state = AlertState::Resolved;
            stored.alert.resolved_at = Some(now);
            if let (true, Some(rule)) = (tell, rule) {
                self.tell(rule, stored, "resolved", now).await?;
            }
        }
        if woken || over {
            stored.alert.updated_at = now;
            self.save(stored).await?;
        }
        Ok(woken || over)
    }

    /// Queues one notification per channel; outside the quiet hours unless critical.
    async fn tell(&self, rule: &AlertRule, stored: &StoredAlert, kind: &str, now: Timestamp) -> Result<()> {
        let quiet = rule.quiet_hours.as_deref().and_then(|text| text.parse::<QuietHours>().ok());
        let not_before = match quiet.and_then(|quiet| quiet.end_after(now)) {
            Some(end) if stored.alert.severity < Severity::Critical => end,
            _ => now,
        };
        for channel in &rule.channels {
            let step = if kind == "updated" { stored.alert.severity.as_str() } else { "" };
            let notification = Notification {
                id: format!("{}:{channel}:{kind}{step}", stored.alert.id),
                channel: channel.clone(),
                kind: kind.to_owned(),
                alert: stored.alert.clone(),
            };
            self.outbox.queue(notification, not_before, now).await?;
        }
        Ok(())
    }
}

/// The same rule, topic and onset give the same id.
pub(crate) fn alert_id(rule: &str, topic: Option<&str>, onset: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in [rule, "\0", topic.unwrap_or("\u{1}"), "\0", &onset.timestamp_millis().to_string()] {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}
