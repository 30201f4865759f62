//! Slack, by an incoming webhook.

use super::deliver;
use crate::address::{checked, client};
use crate::error::Error;
use crate::words::{Letterhead, Template, escape_slack, kind_words, render};
use async_trait::async_trait;
use domain::{AddressPolicy, Notification, Notifier, Result};
use secrecy::{ExposeSecret, SecretString};

/// Longest text of a section block.
const TEXT_MAX: usize = 2900;

/// One Slack channel.
pub struct Slack {
    channel: String,
    url: SecretString,
    letterhead: Letterhead,
    client: reqwest::Client,
}

impl Slack {
    /// `url` is the incoming webhook, a secret in itself.
    pub fn new(
        channel: impl Into<String>,
        url: SecretString,
        letterhead: Letterhead,
        policy: AddressPolicy,
    ) -> Result<Self, Error> {
        checked(url.expose_secret(), policy)?;
        Ok(Self { channel: channel.into(), url, letterhead, client: client(policy)? })
    }
}

/// Slack's message: a header line for notifications on the phone, the text, where it comes from.
pub(crate) fn message(notification: &Notification, letterhead: &Letterhead) -> Result<serde_json::Value, Error> {
    let text = whole_lines(&render(Template::Slack, notification, letterhead)?);
    let fallback = render(Template::Short, notification, letterhead)?;
    let alert = &notification.alert;
    let mut context = format!("Rule {} · since {}", escape_slack(&alert.rule), letterhead.since(alert));
    if let Some(link) = letterhead.link(notification) {
        context.push_str(&format!(" · <{link}|dashboard>"));
    }
    Ok(serde_json::json!({
        "text": fallback.trim(),
        "unfurl_links": false,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text.trim()}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
        ],
        "metadata": {"event_type": "overheard_alert", "event_payload": {"id": notification.id, "kind": kind_words(notification)}},
    }))
}

/// As many lines as a block may hold: a line cut through would end within its link. A first line that is too long by
/// itself is cut.
fn whole_lines(text: &str) -> String {
    let mut left = TEXT_MAX;
    let fits = |line: &&str| {
        let kept = left.checked_sub(line.chars().count() + 1);
        left = kept.unwrap_or(0);
        kept.is_some()
    };
    let lines: Vec<&str> = text.lines().take_while(fits).collect();
    if lines.is_empty() { text.chars().take(TEXT_MAX).collect() } else { lines.join("\n") }
}

#[async_trait]
impl Notifier for Slack {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        let message = message(notification, &self.letterhead)?;
        let answer = deliver(self.client.post(self.url.expose_secret()).json(&message)).await?;
        // Slack itself answers "ok"; what stands in for it may answer as its Web API does.
        match answer.words.replace(' ', "").contains("\"ok\":false") {
            true => Err(answer.failure()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_ends_with_a_whole_line() {
        let line = format!("> {}", "<https://example.org|open> ".repeat(20));
        let text = [line.as_str(); 9].join("\n");
        let kept = whole_lines(&text);
        assert_eq!(kept, [line.as_str(); 5].join("\n"));
        assert_eq!(whole_lines("short\nlines"), "short\nlines");
        assert_eq!(whole_lines(&"x".repeat(5_000)).len(), TEXT_MAX);
    }
}
