//! Who is told what: rules, the alerts they open, and the notifications that go out.

use crate::anomaly::{Anomaly, Severity};
use crate::clock::Timestamp;
use crate::fault::{Fault, check_name};
use crate::quiet::QuietHours;
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ConditionView))]
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

/// Longest window and cooldown.
const SPAN_MAX_S: u64 = 30 * 86_400;
/// Longest phrase or name of a source, characters.
const WORDS_MAX: usize = 200;

impl AlertRule {
    /// The rule without white space at the ends of its texts.
    pub fn trimmed(self) -> Self {
        let trim = |text: String| text.trim().to_owned();
        let condition = match self.condition {
            Condition::FirstMention { phrase } => Condition::FirstMention { phrase: trim(phrase) },
            Condition::Silence { source, silent_s } => Condition::Silence { source: trim(source), silent_s },
            other => other,
        };
        Self {
            name: trim(self.name),
            topic: self.topic.map(trim),
            condition,
            quiet_hours: self.quiet_hours.map(trim),
            ..self
        }
    }

    /// Checks a rule, whether it comes from the API or from the configuration. `channels` are the names of all configured
    /// channels.
    pub fn check(&self, channels: &[String]) -> Result<(), Fault> {
        self.check_itself()?;
        match self.channels.iter().find(|named| !channels.contains(named)) {
            Some(unknown) => {
                let known = channels.join(", ");
                fault("channels", format!("There is no channel {unknown:?}. Configured channels: {known}."))
            }
            None => Ok(()),
        }
    }

    /// The part of [`Self::check`] that holds whatever channels are configured.
    pub fn check_itself(&self) -> Result<(), Fault> {
        check_name("name", &self.name)?;
        if self.cooldown_s > SPAN_MAX_S {
            return fault("cooldown_s", "A cooldown lasts at most thirty days.");
        }
        if let Some(Err(error)) = self.quiet_hours.as_ref().map(|hours| hours.parse::<QuietHours>()) {
            return fault("quiet_hours", format!("{error}."));
        }
        self.condition.check()
    }
}

impl Condition {
    fn check(&self) -> Result<(), Fault> {
        let words = |text: &str| (1..=WORDS_MAX).contains(&text.trim().chars().count());
        match self {
            Self::Threshold { window_s, .. } | Self::Change { window_s, .. } | Self::NegativeShare { window_s, .. }
                if !(60..=SPAN_MAX_S).contains(window_s) =>
            {
                fault("condition.window_s", "A window lasts from one minute to thirty days.")
            }
            Self::Threshold { mentions_min: 0, .. } => {
                fault("condition.mentions_min", "A threshold is at least one mention.")
            }
            Self::Change { percent_min, .. } if !(*percent_min > 0.0 && percent_min.is_finite()) => {
                fault("condition.percent_min", "A change is more than zero percent.")
            }
            Self::NegativeShare { share_min, .. } if !(*share_min > 0.0 && *share_min <= 1.0) => {
                fault("condition.share_min", "share_min must be greater than 0 and at most 1.")
            }
            Self::FirstMention { phrase } if !words(phrase) => {
                fault("condition.phrase", "Name the phrase to wait for, in at most 200 characters.")
            }
            Self::Silence { source, .. } if !words(source) => {
                fault("condition.source", "Name the source that must not fall silent.")
            }
            Self::Silence { silent_s, .. } if !(1..=365 * 86_400).contains(silent_s) => {
                fault("condition.silent_s", "A silence lasts from one second to a year.")
            }
            _ => Ok(()),
        }
    }
}

fn fault(field: &'static str, message: impl Into<String>) -> Result<(), Fault> {
    Err(Fault::new(field, message))
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(condition: Condition) -> AlertRule {
        AlertRule {
            name: "storms".into(),
            topic: None,
            condition,
            channels: vec!["log".into()],
            cooldown_s: 3600,
            quiet_hours: None,
            enabled: true,
        }
    }

    #[test]
    fn a_rule_is_refused_with_the_field_that_is_wrong() {
        let (mentions_min, window_s) = (1, 3600);
        let good = rule(Condition::Threshold { mentions_min, window_s });
        let of = |condition| rule(condition);
        let quiet = |hours: &str| AlertRule { quiet_hours: Some(hours.into()), ..good.clone() };
        for (rule, field) in [
            (good.clone(), None),
            (quiet("22:00-07:00 Europe/Berlin"), None),
            (quiet("22-7"), Some("quiet_hours")),
            (AlertRule { name: " ".into(), ..good.clone() }, Some("name")),
            (AlertRule { name: " storms\n".into(), ..good.clone() }, Some("name")),
            (AlertRule { name: " storms\n".into(), ..good.clone() }.trimmed(), None),
            (AlertRule { channels: vec!["nowhere".into()], ..good.clone() }, Some("channels")),
            (AlertRule { cooldown_s: u64::MAX, ..good.clone() }, Some("cooldown_s")),
            (
                of(Condition::Threshold { mentions_min, window_s: 9_000_000_000_000_000_000 }),
                Some("condition.window_s"),
            ),
            (of(Condition::Change { percent_min: f64::NAN, window_s, mentions_min }), Some("condition.percent_min")),
            (of(Condition::NegativeShare { share_min: 1.5, window_s, mentions_min }), Some("condition.share_min")),
            (of(Condition::FirstMention { phrase: " ".into() }), Some("condition.phrase")),
            (of(Condition::Silence { source: "x".into(), silent_s: u64::MAX }), Some("condition.silent_s")),
        ] {
            let checked = rule.check(&["log".into()]);
            assert_eq!(checked.err().map(|fault| fault.field.into_owned()).as_deref(), field, "{rule:?}");
        }
    }
}
