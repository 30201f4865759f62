//! A POST of JSON to any address, signed so that the receiver knows who calls. Headers:
//! `X-Overheard-Id` (stable: drop a repeat), `X-Overheard-Timestamp` (Unix seconds; refuse old ones against replays) and
//! `X-Overheard-Signature` (`sha256=` and the hex HMAC-SHA256 of `timestamp.body` under the shared secret).

use super::{deliver, hex};
use crate::address::{checked, client};
use crate::error::Error;
use crate::words::{Letterhead, Template, render};
use async_trait::async_trait;
use domain::{AddressPolicy, Clock, Notification, Notifier, Result};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::sync::Arc;
use url::Url;

/// One receiver.
pub struct Webhook {
    channel: String,
    url: Url,
    secret: SecretString,
    letterhead: Letterhead,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    pub fn new(
        channel: impl Into<String>,
        url: &str,
        secret: SecretString,
        letterhead: Letterhead,
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Ok(Self {
            channel: channel.into(),
            url: checked(url, policy)?,
            secret,
            letterhead,
            client: client(policy)?,
            clock,
        })
    }
}

/// The body: the notification as it is, and its words.
pub(crate) fn body(notification: &Notification, letterhead: &Letterhead) -> Result<String, Error> {
    let text = render(Template::Text, notification, letterhead)?;
    let alert = &notification.alert;
    let body = serde_json::json!({
        "id": notification.id,
        "kind": notification.kind,
        "text": text,
        "alert": alert,
    });
    Ok(body.to_string())
}

/// `sha256=` and the signature of a body sent at `timestamp` (Unix seconds).
pub(crate) fn sign(secret: &SecretString, timestamp: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[async_trait]
impl Notifier for Webhook {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        let body = body(notification, &self.letterhead)?;
        let timestamp = self.clock.now().timestamp();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("x-overheard-id", header(&notification.id))
            .header("x-overheard-timestamp", timestamp)
            .header("x-overheard-signature", sign(&self.secret, timestamp, &body))
            .body(body);
        deliver(request).await.map(drop)
    }
}

/// Names of rules may hold any letter; a header may not.
fn header(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}
