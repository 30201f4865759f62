//! Alerting as configured: rules, channels, the alert book and the outbox.

use crate::clock::clock;
use crate::config::{ChannelConfig, ChannelKind, Config, Encryption};
use crate::secrets;
use alerts::notifiers::{self, Email, Log, Slack, Smtp, Sns, Sqs, Teams, Webhook};
use alerts::{AlertBook, Digest, Letterhead, Policy, Rules, Service};
use anyhow::{Context, Result};
use domain::{ALL_POSTS, AddressPolicy, AlertRule, Condition, Health, Notifier, PostTable, StateStore};
use secrecy::{ExposeSecret, SecretString};
use state::{Accounts, SavedSources, Topics};
use std::collections::HashMap;
use std::sync::Arc;

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
    Ok(Some(Digest { channels: digest.channels.clone(), at: digest.at()?, zone: config.time_zone()? }))
}

fn notifier(config: &Config, channel: &ChannelConfig) -> Result<Arc<dyn Notifier>> {
    let policy = AddressPolicy { internal: config.alerts.allow_internal };
    let letterhead = Letterhead { dashboard: Some(config.server.address()), zone: config.time_zone()? };
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
            let settings = aws_settings(channel, channel.url.clone())?;
            Arc::new(Sns::new(name, &channel.topic_arn, &settings, letterhead, policy, clock())?)
        }
        ChannelKind::Sqs => {
            let settings = aws_settings(channel, String::new())?;
            Arc::new(Sqs::new(name, &channel.url, &settings, letterhead, policy, clock())?)
        }
    })
}

fn aws_settings(channel: &ChannelConfig, endpoint: String) -> Result<aws::Settings> {
    let secret_env = match channel.secret_env.as_str() {
        "" => "AWS_SECRET_ACCESS_KEY",
        named => named,
    };
    let credentials = secrets::aws_credentials(&channel.access_key_env, secret_env)?;
    Ok(aws::Settings { region: channel.region.clone(), endpoint, credentials: Some(credentials) })
}

/// Names of all channels.
pub fn channels(config: &Config) -> Vec<String> {
    config.alerts.channel_names()
}

/// The rules in force.
pub fn rules(config: &Config, state: Arc<dyn StateStore>) -> Rules {
    Rules::new(config.alerts.rules.iter().map(AlertRule::from).collect(), channels(config), state)
}

/// The rules that can't be judged, by name, with a sentence each: their question failed, or they name a topic or a source
/// that does not exist.
pub async fn rule_problems(config: &Config, state: Arc<dyn StateStore>) -> domain::Result<HashMap<String, String>> {
    let topics = Topics::new(state.as_ref()).list_readable().await?;
    let added = SavedSources::new(state.as_ref()).list_readable().await?;
    let accounts = Accounts::new(state.clone());
    let tokens = accounts.tokens().await.map_err(|error| domain::Error::retry(error.to_string()))?;
    // Rules may name the series over all posts as anomalies do.
    let is_topic = |name: &str| name == ALL_POSTS || topics.iter().any(|topic| topic.name == name);
    let is_source = |name: &str| {
        let pushed = name.strip_prefix("push:");
        let has_token = pushed.is_some() && tokens.iter().any(|token| token.scope.source() == pushed);
        // Imports and the sample are not configured.
        let is_added = added.iter().any(|source| source.name == name);
        name.starts_with("file:") || name == "sample" || has_token || is_added || config.sources.has(name)
    };
    let mut problems = HashMap::new();
    for rule in rules(config, state.clone()).all().await?.into_iter().filter(|rule| rule.enabled) {
        let unknown = match (&rule.topic, &rule.condition) {
            (Some(topic), _) if !is_topic(topic) => Some(format!("names the topic {topic:?}, which does not exist")),
            (_, Condition::Silence { source, .. }) if !is_source(source) => {
                Some(format!("names the source {source:?}, which is not configured"))
            }
            _ => None,
        };
        problems.extend(unknown.map(|unknown| (rule.name, unknown)));
    }
    problems.extend(alerts::rule_problems(state.as_ref()).await?);
    Ok(problems)
}
