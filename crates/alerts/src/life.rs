//! What happens to one alert: news, the passing of time, what a person does with it. Pure: the book reads and writes.

use crate::evaluate::Finding;
use chrono::TimeDelta;
use domain::{Alert, AlertRule, AlertState, Anomaly, Timestamp, seconds};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What holds for all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Anomalies of other series whose onset lies so close to an alert's belong to the same incident.
    pub group_within_s: u64,
    /// An alert without anything new for so long is over.
    pub resolve_after_s: u64,
    /// Tell the channels when an alert is over.
    pub notify_resolved: bool,
    /// A notification that could not be delivered within this is given up.
    pub deliver_within_s: u64,
    /// Days for which alerts that are over and settled notifications are kept. Longer than the longest cooldown.
    pub keep_days: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            group_within_s: 2 * 3600,
            resolve_after_s: 3 * 3600,
            notify_resolved: true,
            deliver_within_s: 24 * 3600,
            keep_days: 90,
        }
    }
}

/// A notification that did not reach its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    pub channel: String,
    pub at: Timestamp,
    pub reason: String,
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
    /// Channels that refused a notification of it for good, or did not take it in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered: Vec<Undelivered>,
    /// The change is not in the lake's table yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwritten: bool,
}

impl StoredAlert {
    /// A new alert of a rule.
    pub(crate) fn open(
        rule: &AlertRule,
        topic: Option<&str>,
        finding: Finding,
        announced: bool,
        now: Timestamp,
    ) -> Self {
        let alert = Alert {
            id: alert_id(&rule.name, topic, finding.onset.unwrap_or(now)),
            rule: rule.name.clone(),
            topic: topic.map(str::to_owned),
            state: AlertState::Open,
            opened_at: now,
            updated_at: now,
            resolved_at: None,
            severity: finding.severity,
            title: finding.title,
            anomalies: finding.anomalies,
            notified: Vec::new(),
        };
        Self {
            alert,
            acknowledged_by: None,
            silenced_until: None,
            announced,
            fired_at: now,
            undelivered: Vec::new(),
            unwritten: true,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.alert.state == AlertState::Resolved
    }

    /// Whether a finding is the incident that this alert already tells of.
    pub(crate) fn covers(&self, rule: &AlertRule, topic: Option<&str>, finding: &Finding, policy: Policy) -> bool {
        let alert = &self.alert;
        if alert.rule != rule.name {
            return false;
        }
        let known = |anomaly: &Anomaly| alert.anomalies.iter().any(|a| a.id == anomaly.id);
        if finding.anomalies.iter().any(known) {
            return true;
        }
        // A rule for all topics groups over topics: one incident often shows in several.
        let same_topic = rule.topic.is_none() && !finding.anomalies.is_empty() || alert.topic.as_deref() == topic;
        if !same_topic {
            return false;
        }
        let Some(onset) = finding.onset else { return !self.is_over() };
        if alert.anomalies.is_empty() {
            return alert.id == alert_id(&rule.name, topic, onset);
        }
        let near = seconds(policy.group_within_s);
        alert
            .anomalies
            .iter()
            .any(|a| onset >= a.onset - near && onset <= a.end.unwrap_or(self.fired_at).max(a.onset) + near)
    }

    /// Whether the rule's cooldown after this alert keeps a new one of the topic quiet.
    pub(crate) fn cools(&self, rule: &AlertRule, topic: Option<&str>, now: Timestamp) -> bool {
        self.announced
            && self.alert.rule == rule.name
            && self.alert.topic.as_deref() == topic
            && now - self.alert.opened_at < seconds(rule.cooldown_s)
    }

    /// Takes news in; says whether it is to be told: a higher severity is, anything less is only kept.
    pub(crate) fn take_in(&mut self, finding: &Finding, now: Timestamp) -> bool {
        let before = self.alert.clone();
        for anomaly in &finding.anomalies {
            match self.alert.anomalies.iter_mut().find(|known| known.id == anomaly.id) {
                Some(known) => {
                    // The title follows the sentence until it is explained, which may be after it has grown.
                    if known.drivers.is_empty() && self.alert.title == known.sentence {
                        self.alert.title.clone_from(&anomaly.sentence);
                    }
                    *known = anomaly.clone();
                }
                None => self.alert.anomalies.push(anomaly.clone()),
            }
        }
        if !self.has_ended() && !self.is_over() {
            self.fired_at = now;
        }
        let worse = finding.severity > self.alert.severity;
        if worse {
            self.alert.severity = finding.severity;
            self.alert.title.clone_from(&finding.title);
        }
        self.touch(&before, now);
        worse && self.announced && self.alert.state == AlertState::Open
    }

    /// Ends a silence and the alert itself when their time has come; says whether its end is to be told.
    pub(crate) fn pass_time(&mut self, policy: Policy, now: Timestamp) -> bool {
        let before = self.alert.clone();
        if self.is_over() {
            return false;
        }
        if self.alert.state == AlertState::Silenced && self.silenced_until.is_some_and(|until| until <= now) {
            self.alert.state = AlertState::Open;
            self.silenced_until = None;
        }
        let over = now - self.fired_at >= seconds(policy.resolve_after_s) || (self.has_ended() && now > self.fired_at);
        let tell = over && policy.notify_resolved && self.announced && self.alert.state == AlertState::Open;
        if over {
            self.resolve(now);
        }
        self.touch(&before, now);
        tell
    }

    /// Somebody takes care of it.
    pub(crate) fn acknowledge(&mut self, who: &str, now: Timestamp) {
        let before = self.alert.clone();
        if !self.is_over() {
            self.alert.state = AlertState::Acknowledged;
            self.acknowledged_by = Some(who.to_owned());
        }
        self.touch(&before, now);
    }

    /// Nothing more of it until then.
    pub(crate) fn silence(&mut self, until: Timestamp, now: Timestamp) {
        let before = self.alert.clone();
        if !self.is_over() {
            self.alert.state = AlertState::Silenced;
            self.silenced_until = Some(until);
        }
        self.touch(&before, now);
    }

    pub(crate) fn resolve(&mut self, now: Timestamp) {
        let before = self.alert.clone();
        self.alert.state = AlertState::Resolved;
        self.alert.resolved_at.get_or_insert(now);
        self.touch(&before, now);
    }

    /// Marks a change of what people see.
    pub(crate) fn touch(&mut self, before: &Alert, now: Timestamp) {
        if self.alert != *before {
            self.alert.updated_at = now.max(before.updated_at + TimeDelta::microseconds(1));
            self.unwritten = true;
        }
    }

    fn has_ended(&self) -> bool {
        !self.alert.anomalies.is_empty() && self.alert.anomalies.iter().all(|a| a.end.is_some())
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
