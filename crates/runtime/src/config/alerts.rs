//! Settings of alerting: channels, rules, digest.

use super::bounds::within;
use super::words::{optional_word, word};
use anyhow::{Context, Result, bail};
use chrono::NaiveTime;
use domain::{AlertRule, Condition, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    pub allow_internal: bool,
    /// A notification that its channel does not take within this is given up.
    pub deliver_within_hours: u32,
    pub keep_days: u32,
    pub digest: DigestConfig,
    #[serde(default)]
    pub channels: Vec<ChannelConfig>,
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    Webhook,
    Slack,
    Teams,
    Email,
    Sns,
    Sqs,
}

/// Encryption of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    Tls,
    StartTls,
    None,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    pub name: String,
    #[serde(deserialize_with = "word")]
    pub kind: ChannelKind,
    /// Address, where it is no secret; email: name of the mail server; SQS: address of the queue.
    #[serde(default)]
    pub url: String,
    /// Environment variable that holds the address.
    #[serde(default)]
    pub url_env: String,
    /// Environment variable that holds the secret. Webhook: the signing key. Email: the SMTP password. SNS, SQS: the secret
    /// access key [default: AWS_SECRET_ACCESS_KEY; where that is not set, the standard chain].
    #[serde(default)]
    pub secret_env: String,
    /// SNS: name of the topic; its region is read from it.
    #[serde(default)]
    pub topic_arn: String,
    /// SQS: region of the queue; empty: AWS_REGION.
    #[serde(default)]
    pub region: String,
    /// SNS, SQS: environment variable that holds the access key's id.
    #[serde(default = "aws_access_key_id")]
    pub access_key_env: String,
    /// Email: `tls` (from the first byte), `starttls`, or `none` (a server on this machine).
    #[serde(default = "tls", deserialize_with = "word")]
    pub encryption: Encryption,
    /// Email; none: the usual port of the encryption.
    #[serde(default)]
    pub port: Option<u16>,
    /// Email only.
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    pub name: String,
    #[serde(default)]
    pub topic: Option<String>,
    /// Fires on an anomaly of at least this severity: `low`, `medium`, `high` or `critical`.
    #[serde(default, deserialize_with = "optional_word")]
    #[schemars(with = "Option<String>")]
    pub severity_min: Option<domain::Severity>,
    /// Any other condition, in place of `severity_min`: `{ when = "threshold", mentions_min = 100, window_s = 3600 }`;
    /// also `change`, `negative_share`, `first_mention` and `silence`.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Value>")]
    pub condition: Option<domain::Condition>,
    pub channels: Vec<String>,
    #[serde(default = "an_hour")]
    pub cooldown_s: u64,
    #[serde(default)]
    pub quiet_hours: Option<String>,
}

fn an_hour() -> u64 {
    3600
}

fn tls() -> Encryption {
    Encryption::Tls
}

fn aws_access_key_id() -> String {
    "AWS_ACCESS_KEY_ID".into()
}

/// One message a day with the alerts of the day before.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestConfig {
    /// Channels that get it; none: no digest.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Time of day by the clock of `time_zone`, `08:00`.
    pub at: String,
}

impl DigestConfig {
    /// The time of day.
    pub fn at(&self) -> Result<NaiveTime> {
        let at = self.at.parse().or_else(|_| NaiveTime::parse_from_str(&self.at, "%H:%M"));
        at.with_context(|| format!("alerts.digest.at = {:?} is not a time of day, like 08:00", self.at))
    }
}

impl From<&RuleConfig> for AlertRule {
    fn from(rule: &RuleConfig) -> Self {
        let severity_min = rule.severity_min.unwrap_or(Severity::Medium);
        let rule = Self {
            name: rule.name.clone(),
            topic: rule.topic.clone(),
            condition: rule.condition.clone().unwrap_or(Condition::Anomaly { severity_min }),
            channels: rule.channels.clone(),
            cooldown_s: rule.cooldown_s,
            quiet_hours: rule.quiet_hours.clone(),
            enabled: true,
        };
        rule.trimmed()
    }
}

impl AlertsConfig {
    /// The configured channels, and the log, which is always there.
    pub fn channel_names(&self) -> Vec<String> {
        self.channels.iter().map(|channel| channel.name.clone()).chain(["log".to_owned()]).collect()
    }

    pub(super) fn check(&self) -> Result<()> {
        let channels = self.channel_names();
        if let Some(channel) = self.digest.channels.iter().find(|named| !channels.contains(named)) {
            bail!("alerts.digest.channels names {channel:?}, which is not configured");
        }
        self.digest.at()?;
        within(
            "alerts",
            &[
                ("deliver_within_hours", self.deliver_within_hours.into(), 1, 720),
                // Longer than a cooldown.
                ("keep_days", self.keep_days.into(), 31, 36_500),
            ],
        )?;
        for rule in &self.rules {
            if rule.severity_min.is_some() == rule.condition.is_some() {
                bail!("alerts.rules: rule {:?} needs either severity_min or a condition", rule.name);
            }
            if let Err(fault) = AlertRule::from(rule).check(&channels) {
                bail!("alerts.rules: rule {:?}: {fault}", rule.name);
            }
        }
        Ok(())
    }
}
