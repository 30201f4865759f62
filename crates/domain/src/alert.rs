//! Who is told what: rules, the alerts they open, and the notifications that go out.

use crate::anomaly::{Anomaly, Severity};
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// When an alert opens and who hears of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    /// Unique, chosen by the user.
    pub name: String,
    /// None: every topic.
    pub topic: Option<String>,
    pub condition: Condition,
    /// Names of configured notifiers.
    pub channels: Vec<String>,
    /// No second notification of the rule for one topic within this time.
    pub cooldown_s: u64,
    /// Local hours in which only critical alerts go out, `22:00-07:00 Europe/Berlin`.
    pub quiet_hours: Option<String>,
    pub enabled: bool,
}

/// What makes a rule fire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Condition {
    /// An anomaly of at least this severity.
    Anomaly { severity_min: Severity },
    /// At least so many mentions within the window.
    Threshold { mentions_min: u64, window_s: u64 },
    /// Up or down by so many percent against the window before.
    Change { percent_min: f64, window_s: u64, mentions_min: u64 },
    /// Share of negative mentions within the window, 0 to 1.
    NegativeShare { share_min: f64, window_s: u64, mentions_min: u64 },
    /// A phrase is mentioned for the first time.
    FirstMention { phrase: String },
    /// A source has brought nothing for so long.
    Silence { source: String, silent_s: u64 },
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Open,
    Acknowledged,
    Silenced,
    Resolved,
}

impl AlertState {
    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Silenced => "silenced",
            Self::Resolved => "resolved",
        }
    }
}

/// One opening of a rule, from the first notification to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable: the same rule and onset give the same id.
    pub id: String,
    pub rule: String,
    pub topic: Option<String>,
    pub state: AlertState,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub severity: Severity,
    pub title: String,
    /// The anomalies grouped under it; empty for plain thresholds.
    pub anomalies: Vec<Anomaly>,
    /// Channels that were told, with the time.
    pub notified: Vec<(String, Timestamp)>,
}

/// One message to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Stable per alert, channel and kind: a receiver can drop a repeat.
    pub id: String,
    pub channel: String,
    /// `opened`, `updated`, `resolved`, `test`.
    pub kind: String,
    pub alert: Alert,
}
