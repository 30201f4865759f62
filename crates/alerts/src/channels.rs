//! Which channels don't deliver, for operators: one small document per channel that is failing or has lost a
//! notification, so that every process can show it.

use crate::entry::{Delivery, Entry};
use chrono::TimeDelta;
use domain::{Result, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use state::{Documents, Kind};
use std::collections::HashSet;

/// Lost notifications are shown for so long.
const SHOWN: TimeDelta = TimeDelta::days(7);

/// A channel that is failing or has lost notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelTrouble {
    pub channel: String,
    /// When it began to fail; none: it works again.
    pub failing_since: Option<Timestamp>,
    /// The last error.
    pub error: String,
    /// Notifications that were refused for good or given up.
    pub lost: u64,
    pub lost_at: Option<Timestamp>,
}

impl ChannelTrouble {
    /// A sentence for operators.
    pub fn sentence(&self) -> String {
        let time = |at: Timestamp| at.format("%Y-%m-%d %H:%M UTC");
        let Self { channel, error, lost, .. } = self;
        let failing = self.failing_since.map(|since| format!("has been failing since {}", time(since)));
        let lost = self.lost_at.map(|at| format!("did not deliver {lost} notifications, the last on {}", time(at)));
        let what = [failing, lost].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        format!("alert channel {channel:?} {what}: {error}")
    }
}

fn documents(store: &dyn StateStore) -> Documents<'_, ChannelTrouble> {
    Documents::new(store, Kind::ChannelTrouble)
}

/// The channels in trouble, by name.
pub async fn troubles(store: &dyn StateStore) -> Result<Vec<ChannelTrouble>> {
    Ok(documents(store).list_or_set_aside().await?.into_iter().map(|stored| stored.value).collect())
}

/// Takes the outcome of an attempt.
pub(crate) async fn note(store: &dyn StateStore, entry: &Entry, now: Timestamp) -> Result<()> {
    let channel = &entry.notification.channel;
    let edit = |known: Option<ChannelTrouble>| {
        let error = entry.error.clone().unwrap_or_default();
        let fresh = ChannelTrouble { channel: channel.clone(), failing_since: None, error, lost: 0, lost_at: None };
        let known = known.filter(|known| known.failing_since.is_some() || is_shown(known, now));
        match entry.delivery {
            Delivery::Delivered => {
                known.filter(|known| is_shown(known, now)).map(|k| ChannelTrouble { failing_since: None, ..k })
            }
            Delivery::Pending => {
                let before = known.unwrap_or_else(|| fresh.clone());
                Some(ChannelTrouble {
                    failing_since: before.failing_since.or(Some(now)),
                    error: fresh.error.clone(),
                    ..before
                })
            }
            Delivery::Refused | Delivery::Expired => {
                let before = known.unwrap_or_else(|| fresh.clone());
                Some(ChannelTrouble { lost: before.lost + 1, lost_at: Some(now), error: fresh.error.clone(), ..before })
            }
        }
    };
    documents(store).update(channel, edit).await
}

/// Forgets what no longer holds: old losses, and failures of channels for which nothing waits.
pub(crate) async fn sweep(store: &dyn StateStore, waiting: &HashSet<String>, now: Timestamp) -> Result<()> {
    let documents = documents(store);
    for trouble in documents.list_or_set_aside().await? {
        let edit = |known: Option<ChannelTrouble>| {
            let mut known = known?;
            known.failing_since = known.failing_since.filter(|_| waiting.contains(&known.channel));
            (known.failing_since.is_some() || is_shown(&known, now)).then_some(known)
        };
        documents.update(&trouble.key, edit).await?;
    }
    Ok(())
}

fn is_shown(trouble: &ChannelTrouble, now: Timestamp) -> bool {
    trouble.lost_at.is_some_and(|at| now - at < SHOWN)
}
