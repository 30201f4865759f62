//! A notification in the outbox, as stored: how far its delivery got.

use chrono::TimeDelta;
use domain::{Notification, Timestamp};
use serde::{Deserialize, Serialize};

/// A claim runs out after this, when its owner has died; longer than a delivery and the writing of its outcome.
const CLAIM: TimeDelta = TimeDelta::minutes(3);

/// How far a notification got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    Pending,
    Delivered,
    /// The channel refuses it for good, with the reason in `error`.
    Refused,
    /// Given up because it could not be delivered in time, with the last failure in `error`.
    Expired,
}

/// The right to deliver an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Id of the process.
    pub by: u32,
    pub until: Timestamp,
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
    /// When it was to go out first; none: when it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Its channel takes nothing before this moment, as the last attempt showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_waits_until: Option<Timestamp>,
}

impl Entry {
    pub(crate) fn new(notification: Notification, not_before: Timestamp, now: Timestamp) -> Self {
        Self {
            notification,
            delivery: Delivery::Pending,
            attempts: 0,
            next_attempt_at: not_before,
            queued_at: now,
            delivered_at: None,
            error: None,
            due_at: (not_before != now).then_some(not_before),
            claim: None,
            channel_waits_until: None,
        }
    }

    pub(crate) fn is_claimed(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.until > now)
    }

    pub(crate) fn claimed(self, now: Timestamp) -> Self {
        let claim = Claim { by: std::process::id(), until: now + CLAIM };
        Self { attempts: self.attempts.saturating_add(1), claim: Some(claim), ..self }
    }
}
