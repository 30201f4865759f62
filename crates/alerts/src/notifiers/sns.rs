//! Amazon SNS: one signed POST (`Publish`, Signature Version 4), without the SDK, which would double the build.

use super::{deliver, hex};
use crate::address::{checked, client};
use crate::error::Error;
use crate::words::{Letterhead, Template, render};
use async_trait::async_trait;
use aws_signature::{Credentials, Target};
use domain::{AddressPolicy, Clock, Notification, Notifier, Result, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// One SNS topic.
pub struct Sns {
    channel: String,
    topic_arn: String,
    target: Target,
    credentials: Credentials,
    letterhead: Letterhead,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Sns {
    /// The region is read from the topic's name; `endpoint` replaces AWS's own (tests, private endpoints).
    pub fn new(
        channel: impl Into<String>,
        topic_arn: &str,
        endpoint: Option<&str>,
        credentials: Credentials,
        letterhead: Letterhead,
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let region = topic_arn
            .split(':')
            .nth(3)
            .filter(|r| !r.is_empty())
            .ok_or_else(|| Error::Address(topic_arn.to_owned()))?;
        let endpoint = endpoint.map_or_else(|| format!("https://sns.{region}.amazonaws.com/"), str::to_owned);
        Ok(Self {
            channel: channel.into(),
            target: Target { service: "sns", region: region.to_owned(), url: checked(&endpoint, policy)? },
            topic_arn: topic_arn.to_owned(),
            credentials,
            letterhead,
            client: client(policy)?,
            clock,
        })
    }

    fn request(&self, notification: &Notification, now: Timestamp) -> Result<reqwest::RequestBuilder> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "Publish")
            .append_pair("Version", "2010-03-31")
            .append_pair("TopicArn", &self.topic_arn)
            .append_pair("Subject", &subject(notification))
            .append_pair("Message", &render(Template::Text, notification, &self.letterhead)?);
        if self.topic_arn.ends_with(".fifo") {
            form.append_pair("MessageGroupId", "overheard")
                .append_pair("MessageDeduplicationId", &hex(&Sha256::digest(&notification.id)));
        }
        let body = form.finish();
        let given = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let headers = aws_signature::headers(&self.credentials, &self.target, &given, &body, now);
        let request = self.client.post(self.target.url.clone()).body(body);
        Ok(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
    }
}

/// SNS takes 100 ASCII characters.
fn subject(notification: &Notification) -> String {
    super::email::subject(notification)
        .replace('×', "x")
        .replace('–', "-")
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(100)
        .collect()
}

#[async_trait]
impl Notifier for Sns {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        deliver(self.request(notification, self.clock.now())?).await.map(drop)
    }
}
