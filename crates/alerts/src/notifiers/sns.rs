//! Amazon SNS: one message to a topic.

use super::{deliver_by_aws, order};
use crate::address::{checked, client};
use crate::words::{Letterhead, Template, render};
use async_trait::async_trait;
use aws::sns::Topic;
use domain::{AddressPolicy, Clock, Notification, Notifier, Result};
use std::sync::Arc;

/// One SNS topic.
pub struct Sns {
    channel: String,
    topic: Topic,
    letterhead: Letterhead,
}

impl Sns {
    /// The region is read from the topic's name; `settings.endpoint` replaces AWS's own (tests, private endpoints).
    pub fn new(
        channel: impl Into<String>,
        topic_arn: &str,
        settings: &aws::Settings,
        letterhead: Letterhead,
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        if !settings.endpoint.is_empty() {
            checked(&settings.endpoint, policy)?;
        }
        let http = client(policy)?;
        Ok(Self { channel: channel.into(), topic: Topic::new(topic_arn, settings, http, clock)?, letterhead })
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
        let message = render(Template::Text, notification, &self.letterhead)?;
        let order = self.topic.is_fifo().then(|| order(notification));
        let place = order.as_ref().map(|order| order.place());
        deliver_by_aws(self.topic.publish(&subject(notification), &message, place).await)
    }
}
