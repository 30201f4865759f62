//! Microsoft Teams, by a workflow's webhook ("when a Teams webhook request is received"), as an adaptive card.

use super::deliver;
use crate::address::{checked, client};
use crate::error::Error;
use crate::words::{Letterhead, emphasised, gravest, kind_words, line, link};
use async_trait::async_trait;
use domain::{AddressPolicy, Notification, Notifier, Result, Severity, driver_name};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// One Teams channel.
pub struct Teams {
    channel: String,
    url: SecretString,
    letterhead: Letterhead,
    client: reqwest::Client,
    /// A connector of the old kind, whose only answer of success is `1`.
    is_connector: bool,
}

impl Teams {
    /// `url` is the workflow's address, a secret in itself.
    pub fn new(
        channel: impl Into<String>,
        url: SecretString,
        letterhead: Letterhead,
        policy: AddressPolicy,
    ) -> Result<Self, Error> {
        let address = checked(url.expose_secret(), policy)?;
        let is_connector = address.host_str().is_some_and(|host| host.ends_with(".webhook.office.com"));
        Ok(Self { channel: channel.into(), url, letterhead, client: client(policy)?, is_connector })
    }
}

/// The message that carries the card.
pub(crate) fn message(notification: &Notification, letterhead: &Letterhead) -> Value {
    let alert = &notification.alert;
    let head = format!("{} · severity {}", kind_words(notification), alert.severity.as_str());
    let colour = if alert.severity >= Severity::High { "Attention" } else { "Warning" };
    let mut body = vec![
        json!({"type": "TextBlock", "text": head, "weight": "Bolder", "color": colour}),
        json!({"type": "TextBlock", "text": emphasised(&escape(&alert.title, false), "**", "**"), "wrap": true, "size": "Medium"}),
    ];
    if let Some(anomaly) = gravest(alert) {
        let facts: Vec<Value> = anomaly
            .drivers
            .iter()
            .take(6)
            .map(|d| {
                let new = if d.new { ", never seen before" } else { "" };
                let value = format!("{}: {:.0} against {:.0}{new}", escape(&d.value, true), d.observed, d.expected);
                json!({"title": driver_name(d.dimension).replace('_', " "), "value": value})
            })
            .collect();
        if !facts.is_empty() {
            body.push(json!({"type": "FactSet", "facts": facts}));
        }
        for post in anomaly.examples.iter().take(3) {
            let open = post.url.as_deref().map(|url| format!(" [open]({})", link(url))).unwrap_or_default();
            let text = escape(&line(&post.text), true) + &open;
            body.push(json!({"type": "TextBlock", "text": text, "wrap": true, "isSubtle": true}));
        }
    }
    let foot = format!("Rule {} · since {}", escape(&alert.rule, true), letterhead.since(alert));
    body.push(json!({"type": "TextBlock", "text": foot, "isSubtle": true, "size": "Small"}));
    let actions: Vec<Value> = letterhead
        .link(notification)
        .map(|url| json!({"type": "Action.OpenUrl", "title": "Open the dashboard", "url": url}))
        .into_iter()
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": actions,
            },
        }],
    })
}

/// Markdown's signs as signs; stars of our own sentences stay for the emphasis.
fn escape(text: &str, stars: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '[' | ']' | '_' | '`' | '#' | '\\') || (c == '*' && stars) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Teams can answer 200 and say in the body that nothing was posted, for example when it limits the rate. A workflow that
/// took the message answers 202, usually without a body.
fn told_of_failure(words: &str, is_connector: bool) -> bool {
    if is_connector {
        return !matches!(words, "" | "1");
    }
    let words = words.to_ascii_lowercase();
    ["error", "failed", "failure"].iter().any(|word| words.contains(word))
}

#[async_trait]
impl Notifier for Teams {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        let message = message(notification, &self.letterhead);
        let answer = deliver(self.client.post(self.url.expose_secret()).json(&message)).await?;
        if told_of_failure(&answer.words, self.is_connector) { Err(answer.failure()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::told_of_failure;

    #[test]
    fn a_success_with_a_failure_in_its_body_is_a_failure() {
        let limited = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
        for (words, of_connector, of_workflow) in [
            ("", false, false),
            ("1", false, false),
            (limited, true, true),
            ("Summary or Text is required.", true, false),
        ] {
            assert_eq!(told_of_failure(words, true), of_connector, "{words}");
            assert_eq!(told_of_failure(words, false), of_workflow, "{words}");
        }
    }
}
