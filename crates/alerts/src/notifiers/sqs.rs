//! Amazon SQS: one message to a queue, with the body of a webhook. Nothing is signed for the receiver: AWS says who may send.

use super::webhook::body;
use super::{deliver_by_aws, order};
use crate::address::{checked, client};
use crate::words::Letterhead;
use async_trait::async_trait;
use aws::sqs::Queue;
use domain::{AddressPolicy, Clock, Notification, Notifier, Result};
use std::sync::Arc;

/// One queue.
pub struct Sqs {
    channel: String,
    queue: Queue,
    letterhead: Letterhead,
}

impl Sqs {
    pub fn new(
        channel: impl Into<String>,
        url: &str,
        settings: &aws::Settings,
        letterhead: Letterhead,
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let (url, http) = (checked(url, policy)?, client(policy)?);
        let queue = Queue::new(&url, settings, http, clock)?.with_one_attempt();
        Ok(Self { channel: channel.into(), queue, letterhead })
    }
}

#[async_trait]
impl Notifier for Sqs {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        let order = self.queue.url().path().ends_with(".fifo").then(|| order(notification));
        let place = order.as_ref().map(|order| order.place());
        deliver_by_aws(self.queue.send(&body(notification, &self.letterhead)?, place).await)
    }
}
