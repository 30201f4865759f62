//! Notifications on their way out, kept in the state store (kind `notification`) until each is delivered or refused for
//! good. An entry's id is made of alert, channel and kind and is written only when it is new: that, and nothing in memory,
//! is what keeps a repeat of the same onset from being told twice, also across restarts. Delivered entries stay as proof.
//! Between a delivery and its mark lies a moment in which a crash would send again; the id in every payload lets the
//! receiver drop it.

use chrono::TimeDelta;
use domain::{Error, ErrorKind, Notification, Notifier, Result, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const KIND: &str = "notification";
/// First wait after a failure, doubled each time up to the longest.
const BACKOFF_FIRST_S: i64 = 15;
const BACKOFF_LONGEST_S: i64 = 3600;
/// Delivered entries older than this are dropped; onsets so old are not observed again.
const KEPT_DAYS: i64 = 90;

/// How far a notification got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    Pending,
    Delivered,
    /// The channel refuses it for good, with the reason in `error`.
    Refused,
}

/// One notification with the story of its delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub notification: Notification,
    pub delivery: Delivery,
    pub attempts: u32,
    /// Not before this moment (quiet hours, back-off).
    pub next_attempt_at: Timestamp,
    pub queued_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub error: Option<String>,
}

/// The outbox over a state store.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn StateStore>,
}

impl Outbox {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store }
    }

    /// Queues a notification for `not_before`, unless its id was ever queued before; says whether it was new.
    pub async fn queue(&self, notification: Notification, not_before: Timestamp, now: Timestamp) -> Result<bool> {
        let id = notification.id.clone();
        let entry = Entry {
            notification,
            delivery: Delivery::Pending,
            attempts: 0,
            next_attempt_at: not_before,
            queued_at: now,
            delivered_at: None,
            error: None,
        };
        self.store.put_new(KIND, &id, into_value(&entry)?).await
    }

    /// All entries, by id.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        let documents = self.store.list(KIND).await?;
        documents.into_iter().map(|(id, value)| from_value(&id, value)).collect()
    }

    /// Tries everything that is due and gives back what was delivered.
    pub async fn work(&self, notifiers: &[Arc<dyn Notifier>], now: Timestamp) -> Result<Vec<Entry>> {
        let mut delivered = Vec::new();
        for mut entry in self.entries().await? {
            let due = entry.delivery == Delivery::Pending && entry.next_attempt_at <= now;
            if due {
                attempt(&mut entry, notifiers, now).await;
                self.store.put(KIND, &entry.notification.id, into_value(&entry)?).await?;
                if entry.delivery == Delivery::Delivered {
                    delivered.push(entry);
                }
            } else if entry.delivery != Delivery::Pending && now - entry.queued_at > TimeDelta::days(KEPT_DAYS) {
                self.store.delete(KIND, &entry.notification.id).await?;
            }
        }
        Ok(delivered)
    }
}

/// One delivery, with its outcome written into the entry.
async fn attempt(entry: &mut Entry, notifiers: &[Arc<dyn Notifier>], now: Timestamp) {
    let channel = entry.notification.channel.clone();
    entry.attempts = entry.attempts.saturating_add(1);
    let outcome = match notifiers.iter().find(|notifier| notifier.channel() == channel) {
        Some(notifier) => notifier.notify(&entry.notification).await,
        // The channel may come back with the next configuration: keep the notification.
        None => Err(Error::retry(format!("channel {channel} is not configured"))),
    };
    let result = match outcome {
        Ok(()) => {
            entry.delivery = Delivery::Delivered;
            entry.delivered_at = Some(now);
            entry.error = None;
            "delivered"
        }
        Err(error) => {
            entry.error = Some(error.to_string());
            if error.kind() == ErrorKind::Reject {
                entry.delivery = Delivery::Refused;
                tracing::error!(notification.id = %entry.notification.id, channel, "notification refused for good");
                "refused"
            } else {
                entry.next_attempt_at = now + TimeDelta::seconds(backoff_s(entry.attempts));
                tracing::warn!(notification.id = %entry.notification.id, channel, attempts = entry.attempts, "notification postponed");
                "postponed"
            }
        }
    };
    metrics::counter!("overheard_alerts_notifications_total", "channel" => channel, "result" => result).increment(1);
}

fn backoff_s(attempts: u32) -> i64 {
    BACKOFF_FIRST_S.saturating_mul(1_i64 << attempts.saturating_sub(1).min(20)).min(BACKOFF_LONGEST_S)
}

pub(crate) fn into_value<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::caused(ErrorKind::Reject, "document can't be written as JSON", e))
}

pub(crate) fn from_value<T: serde::de::DeserializeOwned>(id: &str, value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|e| Error::caused(ErrorKind::Stop, format!("stored document {id} can't be read"), e))
}
