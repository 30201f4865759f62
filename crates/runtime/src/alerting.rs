//! Joins what the watch notices with the rules of alerting: hands facts (`rule_facts`) and anomalies to the alert book, and
//! works the outbox with the configured channels.

use crate::clock::clock;
use crate::config::{ChannelConfig, ChannelKind, Config, Encryption};
use crate::rule_facts::RuleFacts;
use crate::secrets;
use crate::trouble::Troubles;
use alerts::notifiers::{self, Email, Log, Slack, Smtp, Sns, Teams, Webhook};
use alerts::{AddressPolicy, AlertBook, Digest, Facts, Letterhead, Policy, Service};
use anyhow::{Context, Result};
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{AlertRule, Anomaly, Condition, Health, Notifier, PostTable, Severity, StateStore, Timestamp};
use lake::Lake;
use pipeline::AnomalyListener;
use secrecy::{ExposeSecret, SecretString};
use state::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Incidents that ended longer ago are history brought in: they are recorded, and nobody is called out of bed for them.
const HISTORY: TimeDelta = TimeDelta::hours(24);
/// How often rules without an anomaly (thresholds, silence, first mentions) are judged.
const JUDGE_EVERY: Duration = Duration::from_secs(30);
/// The channel that is always there.
const LOG: &str = "log";

/// The alerts that are open and were, with the notifications that wait.
pub fn book(config: &Config, state: Arc<dyn StateStore>) -> Arc<AlertBook> {
    let (hours, keep_days) = (config.alerts.deliver_within_hours, config.alerts.keep_days);
    let policy = Policy { deliver_within_s: u64::from(hours) * 3600, keep_days, ..Policy::default() };
    Arc::new(AlertBook::new(state, policy))
}

/// The outbox with every configured channel.
pub fn outbox(config: &Config, book: &AlertBook, table: Arc<dyn PostTable>, health: Arc<Health>) -> Result<Service> {
    let settings = alerts::Config { digest: digest(config)?, ..alerts::Config::default() };
    Ok(Service::new(settings, book.clone(), notifiers(config)?, clock(), Some(table), health))
}

/// Every configured channel.
pub fn notifiers(config: &Config) -> Result<Vec<Arc<dyn Notifier>>> {
    let mut notifiers: Vec<Arc<dyn Notifier>> = vec![Arc::new(Log::new(LOG))];
    for channel in &config.alerts.channels {
        notifiers.push(notifier(config, channel).with_context(|| format!("set up the channel {:?}", channel.name))?);
    }
    Ok(notifiers)
}

fn digest(config: &Config) -> Result<Option<Digest>> {
    let digest = &config.alerts.digest;
    if digest.channels.is_empty() {
        return Ok(None);
    }
    let at = digest.at.parse().or_else(|_| chrono::NaiveTime::parse_from_str(&digest.at, "%H:%M"));
    let at = at.with_context(|| format!("alerts.digest.at: {:?} is no time of day, as 08:00", digest.at))?;
    Ok(Some(Digest { channels: digest.channels.clone(), at, zone: zone(config)? }))
}

fn zone(config: &Config) -> Result<chrono_tz::Tz> {
    config.time_zone.parse().map_err(|_| anyhow::anyhow!("time_zone: {:?} is no IANA name", config.time_zone))
}

fn notifier(config: &Config, channel: &ChannelConfig) -> Result<Arc<dyn Notifier>> {
    let policy = AddressPolicy { internal: config.alerts.allow_internal };
    let letterhead = Letterhead { dashboard: Some(config.server.address()), zone: zone(config)? };
    let url = || match channel.url.is_empty() {
        true => secrets::read(&channel.url_env, ""),
        false => Ok(SecretString::from(channel.url.clone())),
    };
    let name = channel.name.clone();
    Ok(match channel.kind {
        ChannelKind::Slack => Arc::new(Slack::new(name, url()?, letterhead, policy)?),
        ChannelKind::Teams => Arc::new(Teams::new(name, url()?, letterhead, policy)?),
        ChannelKind::Webhook => {
            let secret = secrets::read(&channel.secret_env, "").context("a webhook is signed: name secret_env")?;
            Arc::new(Webhook::new(name, url()?.expose_secret(), secret, letterhead, policy, clock())?)
        }
        ChannelKind::Email => {
            let password = secrets::read(&channel.secret_env, "").ok();
            let smtp = Smtp {
                host: channel.url.clone(),
                port: channel.port,
                encryption: match channel.encryption {
                    Encryption::Tls => notifiers::Encryption::Tls,
                    Encryption::StartTls => notifiers::Encryption::StartTls,
                    Encryption::None => notifiers::Encryption::None,
                },
                username: (!channel.username.is_empty()).then(|| channel.username.clone()),
                password,
                from: channel.from.clone(),
            };
            Arc::new(Email::new(name, &smtp, &channel.to, letterhead)?)
        }
        ChannelKind::Sns => {
            let endpoint = (!channel.url.is_empty()).then_some(channel.url.as_str());
            let secret_env = match channel.secret_env.as_str() {
                "" => "AWS_SECRET_ACCESS_KEY",
                named => named,
            };
            let keys = secrets::aws_credentials(&channel.access_key_env, secret_env)?;
            Arc::new(Sns::new(name, &channel.topic_arn, endpoint, keys, letterhead, policy, clock())?)
        }
    })
}

/// Names of all channels.
pub fn channels(config: &Config) -> Vec<String> {
    config.alerts.channel_names()
}

/// Rules of the configuration and of the page; without any, medium anomalies go to every channel.
pub async fn rules(config: &Config, state: &dyn StateStore) -> domain::Result<Vec<AlertRule>> {
    let mut rules: BTreeMap<String, AlertRule> =
        config.alerts.rules.iter().map(|rule| (rule.name.clone(), AlertRule::from(rule))).collect();
    for rule in Rules::new(state).list_readable().await? {
        match rule.check_itself() {
            Ok(()) => drop(rules.insert(rule.name.clone(), rule)),
            Err(fault) => warn!(rule = rule.name, %fault, "an alert rule is left out"),
        }
    }
    if rules.is_empty() {
        let rule = AlertRule {
            name: "anything unusual".into(),
            topic: None,
            condition: Condition::Anomaly { severity_min: Severity::Medium },
            channels: channels(config),
            cooldown_s: 3600,
            quiet_hours: None,
            enabled: true,
        };
        rules.insert(rule.name.clone(), rule);
    }
    Ok(rules.into_values().collect())
}

/// Hands facts to the book, one caller at a time.
pub struct Judge {
    config: Config,
    book: Arc<AlertBook>,
    state: Arc<dyn StateStore>,
    facts: RuleFacts,
    table: Arc<dyn PostTable>,
    health: Arc<Health>,
    turn: tokio::sync::Mutex<()>,
    troubles: tokio::sync::Mutex<Troubles>,
}

impl Judge {
    pub fn new(
        config: &Config,
        book: Arc<AlertBook>,
        state: Arc<dyn StateStore>,
        lake: Arc<Lake>,
        health: Arc<Health>,
    ) -> Arc<Self> {
        let (table, facts) = (lake.clone(), RuleFacts::new(lake, state.clone(), health.clone()));
        let (turn, troubles) = (tokio::sync::Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { config: config.clone(), book, state, facts, table, health, turn, troubles })
    }

    /// Judges the rules that need no anomaly, again and again.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> domain::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(JUDGE_EVERY) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let now = clock().now();
            if let Err(error) = self.look_at_itself(now).await {
                warn!(%error, "the alert about Overheard itself could not be told; trying again");
            }
            if let Err(error) = self.look(now).await {
                warn!(%error, "alert rules could not be judged; trying again");
            }
        }
    }

    /// Tells every channel of components that fail for minutes, and of their recovery. Asks nothing of the lake, which
    /// may be what fails.
    async fn look_at_itself(&self, now: Timestamp) -> domain::Result<()> {
        let mut troubles = self.troubles.lock().await;
        let (mut rules, facts) = troubles.look(&self.health.problems(), &channels(&self.config), now);
        if facts.is_empty() {
            return Ok(());
        }
        // The others stand by, for the alerts of theirs whose time has come meanwhile.
        let others = crate::alerting::rules(&self.config, self.state.as_ref()).await?;
        rules.extend(others.into_iter().map(|rule| AlertRule { enabled: false, ..rule }));
        self.observe(&rules, &facts, now).await
    }

    async fn look(&self, now: Timestamp) -> domain::Result<()> {
        let rules = rules(&self.config, self.state.as_ref()).await?;
        let facts = self.facts.gather(&rules, now).await?;
        self.observe(&rules, &facts, now).await
    }

    async fn observe(&self, rules: &[AlertRule], facts: &[Facts], now: Timestamp) -> domain::Result<()> {
        let turn = self.turn.lock().await;
        self.book.observe(rules, facts, now).await?;
        drop(turn);
        // What other processes changed is written here as well: those that only serve can't write the lake.
        if let Err(error) = self.book.write(self.table.as_ref(), now).await {
            warn!(%error, "alerts are not in the lake yet; trying again");
        }
        Ok(())
    }
}

#[async_trait]
impl AnomalyListener for Judge {
    async fn observe(&self, anomalies: Vec<Anomaly>, now: Timestamp) -> domain::Result<()> {
        let rules = rules(&self.config, self.state.as_ref()).await?;
        let silent: Vec<AlertRule> =
            rules.iter().map(|rule| AlertRule { channels: Vec::new(), ..rule.clone() }).collect();
        let is_history = |anomaly: &Anomaly| now - anomaly.end.unwrap_or(anomaly.onset) > HISTORY;
        let (history, fresh): (Vec<Anomaly>, Vec<Anomaly>) = anomalies.into_iter().partition(is_history);
        for (rules, anomalies) in [(&silent, history), (&rules, fresh)] {
            let mut by_topic: BTreeMap<String, Facts> = BTreeMap::new();
            for anomaly in anomalies {
                let topic = Some(anomaly.topic.clone());
                let entry =
                    by_topic.entry(anomaly.topic.clone()).or_insert_with(|| Facts { topic, ..Facts::default() });
                entry.anomalies.push(anomaly);
            }
            let facts: Vec<Facts> = by_topic.into_values().collect();
            if !facts.is_empty() {
                Judge::observe(self, rules, &facts, now).await?;
            }
        }
        Ok(())
    }
}
