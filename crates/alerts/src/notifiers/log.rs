//! The channel of last resort: a line in the log, without the words of any post.

use async_trait::async_trait;
use domain::{Notification, Notifier, Result};

/// Writes ids, severity and kind to the log.
#[derive(Debug, Clone)]
pub struct Log {
    channel: String,
}

impl Log {
    pub fn new(channel: impl Into<String>) -> Self {
        Self { channel: channel.into() }
    }
}

#[async_trait]
impl Notifier for Log {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        let alert = &notification.alert;
        let (kind, severity) = (&notification.kind, alert.severity.as_str());
        tracing::info!(alert.id = %alert.id, rule = %alert.rule, kind, severity, "alert");
        Ok(())
    }
}
