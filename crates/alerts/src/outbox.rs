//! Notifications on their way out. Those that wait lie in the state store under the kind `notification`; once delivered,
//! refused for good or given up they move to `notification_done`, in one swap. An entry's id is made of alert, channel and
//! kind and is written only when neither kind has it: that, and nothing in memory, keeps a repeat of the same onset from
//! being told twice, also across restarts.
//!
//! Whoever delivers an entry first claims it (owner and deadline) by compare and swap, so several processes can work one
//! outbox. Between a delivery and its mark lies a moment in which a crash would send again once the claim has run out; the
//! id in every payload lets the receiver drop it.
//!
//! Channels are worked side by side, each in the order of queueing; an entry waits for the earlier ones of its alert.

use crate::channels;
use crate::documents::{self, contended, into_value};
use crate::entry::{Delivery, Entry};
use chrono::TimeDelta;
use domain::{Clock, Error, ErrorKind, Notification, Notifier, Result, StateStore, Swap, Timestamp, seconds};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const WAITING: &str = "notification";
const DONE: &str = "notification_done";
/// First wait after a failure, doubled each time up to the longest.
const BACKOFF_FIRST_S: u64 = 15;
const BACKOFF_LONGEST_S: u64 = 3600;
/// After a failure nothing goes to the channel for so long at most, unless it asks for more: one notification that it
/// can't take must not hold up the others.
const CHANNEL_WAIT_MAX_S: u64 = 60;
/// Longest delivery, whatever the channel's own time limits.
const DELIVERY_MAX: Duration = Duration::from_secs(50);
/// Notifications that a channel is given in one round.
const ROUND_MAX: usize = 50;

/// An entry that waits, with the document that it was read from.
pub(crate) struct Waiting {
    value: Value,
    entry: Entry,
}

/// The outbox over a state store.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn StateStore>,
    /// A notification that could not be delivered within this is given up.
    deliver_within: TimeDelta,
}

impl Outbox {
    pub fn new(store: Arc<dyn StateStore>, deliver_within_s: u64) -> Self {
        Self { store, deliver_within: seconds(deliver_within_s) }
    }

    /// Queues a notification for `not_before`, unless its id was ever queued before; says whether it was new.
    pub async fn queue(&self, notification: Notification, not_before: Timestamp, now: Timestamp) -> Result<bool> {
        let changes = self.changes(vec![Entry::new(notification, not_before, now)]).await?;
        Ok(!changes.is_empty() && self.store.swap(changes).await?)
    }

    /// The changes that queue those of the entries whose ids were never queued before.
    pub(crate) async fn changes(&self, entries: Vec<Entry>) -> Result<Vec<Swap>> {
        let mut changes = Vec::new();
        for entry in entries {
            let id = &entry.notification.id;
            let known = self.store.get(WAITING, id).await?.is_some() || self.store.get(DONE, id).await?.is_some();
            if !known {
                changes.push(Swap::new(DONE, id, None, None));
                changes.push(Swap::new(WAITING, id, None, Some(into_value(&entry)?)));
            }
        }
        Ok(changes)
    }

    /// All entries: those that wait, then the others.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        let waiting = self.waiting().await?.into_iter().map(|waiting| waiting.entry);
        let done = documents::list(self.store.as_ref(), DONE).await?;
        Ok(waiting.chain(done.into_iter().map(|(_, entry)| entry)).collect())
    }

    /// One round: gives every channel what is due, all side by side, and waits for them. Gives back what was settled.
    pub async fn work(&self, notifiers: &[Arc<dyn Notifier>], clock: &Arc<dyn Clock>) -> Result<Vec<Entry>> {
        let mut channels = JoinSet::new();
        for (channel, queue) in self.due(clock.now()).await? {
            let (outbox, clock, stop) = (self.clone(), clock.clone(), CancellationToken::new());
            let notifier = of_channel(notifiers, &channel);
            channels.spawn(async move { outbox.work_channel(queue, notifier, clock.as_ref(), &stop).await });
        }
        let mut settled = Vec::new();
        while let Some(ended) = channels.join_next().await {
            settled.extend(ended.map_err(panicked)?);
        }
        Ok(settled)
    }

    /// Queues notifications and delivers them in this call: no other process takes them, and nothing else is touched.
    /// What fails is tried again by whoever works the outbox.
    pub async fn deliver(
        &self,
        notifications: Vec<Notification>,
        notifiers: &[Arc<dyn Notifier>],
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<Entry>> {
        let mut attempts = JoinSet::new();
        for notification in notifications {
            let now = clock.now();
            let entry = Entry::new(notification, now, now).claimed(now);
            let value = into_value(&entry)?;
            self.store.put(WAITING, &entry.notification.id, value.clone()).await?;
            let notifier = of_channel(notifiers, &entry.notification.channel);
            let (outbox, clock) = (self.clone(), clock.clone());
            attempts.spawn(async move { outbox.attempt(Waiting { value, entry }, notifier, clock.as_ref()).await });
        }
        let mut entries = Vec::new();
        while let Some(ended) = attempts.join_next().await {
            entries.push(ended.map_err(panicked)??);
        }
        Ok(entries)
    }

    /// What each channel can be given now, in order. What is too old is given up on the way.
    pub(crate) async fn due(&self, now: Timestamp) -> Result<BTreeMap<String, Vec<Waiting>>> {
        let (old, waiting): (Vec<Waiting>, Vec<Waiting>) =
            self.waiting().await?.into_iter().partition(|one| self.is_too_old(&one.entry, now));
        for Waiting { value, mut entry } in old {
            let last = entry.error.take().unwrap_or_else(|| "it was never tried".into());
            entry.error = Some(format!("not delivered within {} hours; {last}", self.deliver_within.num_hours()));
            entry.delivery = Delivery::Expired;
            tracing::error!(notification.id = %entry.notification.id, "notification given up");
            self.settle(value, entry, now).await?;
        }
        Ok(queues(waiting, now))
    }

    fn is_too_old(&self, entry: &Entry, now: Timestamp) -> bool {
        now - entry.due_at.unwrap_or(entry.queued_at) > self.deliver_within && !entry.is_claimed(now)
    }

    /// Delivers the queue of one channel until it is empty, the channel fails, or it is time to stop. Gives back the
    /// entries that were settled.
    pub(crate) async fn work_channel(
        &self,
        queue: Vec<Waiting>,
        notifier: Option<Arc<dyn Notifier>>,
        clock: &dyn Clock,
        stop: &CancellationToken,
    ) -> Vec<Entry> {
        let mut settled = Vec::new();
        for waiting in queue {
            if stop.is_cancelled() {
                break;
            }
            match self.deliver_one(waiting, notifier.clone(), clock).await {
                Ok(Some(entry)) if entry.delivery != Delivery::Pending => settled.push(entry),
                // The channel fails, or another process works it.
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be worked; trying again");
                    break;
                }
            }
        }
        settled
    }

    /// None: another process was faster.
    async fn deliver_one(
        &self,
        waiting: Waiting,
        notifier: Option<Arc<dyn Notifier>>,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let entry = waiting.entry.claimed(clock.now());
        let (id, value) = (&entry.notification.id, into_value(&entry)?);
        match self.store.swap(vec![Swap::new(WAITING, id, Some(waiting.value), Some(value.clone()))]).await? {
            true => self.attempt(Waiting { value, entry }, notifier, clock).await.map(Some),
            false => Ok(None),
        }
    }

    /// Delivers a claimed entry and writes down the outcome.
    #[tracing::instrument(
        name = "notify",
        skip_all,
        fields(notification.id = entry.notification.id, channel = entry.notification.channel)
    )]
    async fn attempt(
        &self,
        Waiting { value, mut entry }: Waiting,
        notifier: Option<Arc<dyn Notifier>>,
        clock: &dyn Clock,
    ) -> Result<Entry> {
        let outcome = match notifier {
            Some(notifier) => tokio::time::timeout(DELIVERY_MAX, notifier.notify(&entry.notification))
                .await
                .unwrap_or_else(|_| Err(Error::retry(format!("no answer within {} s", DELIVERY_MAX.as_secs())))),
            // The channel may come back with the next configuration: keep the notification.
            None => Err(Error::retry(format!("channel {} is not configured", entry.notification.channel))),
        };
        let now = clock.now();
        judge(&mut entry, outcome, now);
        self.settle(value, entry.clone(), now).await?;
        Ok(entry)
    }

    /// Writes the outcome into the document, whatever was changed in its words meanwhile (a post was deleted).
    async fn settle(&self, mut value: Value, outcome: Entry, now: Timestamp) -> Result<()> {
        let id = outcome.notification.id.clone();
        let claim = value.get("claim").cloned();
        for _ in 0..documents::TRIES_MAX {
            let words =
                Entry::deserialize(&value).map_or_else(|_| outcome.notification.clone(), |kept| kept.notification);
            let after = into_value(&Entry { notification: words, claim: None, ..outcome.clone() })?;
            let changes = match outcome.delivery {
                Delivery::Pending => vec![Swap::new(WAITING, &id, Some(value), Some(after))],
                _ => vec![Swap::new(WAITING, &id, Some(value), None), Swap::new(DONE, &id, None, Some(after))],
            };
            if self.store.swap(changes).await? {
                return channels::note(self.store.as_ref(), &outcome, now).await;
            }
            match self.store.get(WAITING, &id).await? {
                Some(changed) if changed.get("claim") == claim.as_ref() => value = changed,
                _ => {
                    tracing::warn!(notification.id = %id, "the claim on a notification ran out during its delivery");
                    return Ok(());
                }
            }
        }
        Err(contended(&id))
    }

    /// The entries that wait, the oldest first.
    async fn waiting(&self) -> Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        for (value, entry) in documents::list::<Entry>(self.store.as_ref(), WAITING).await? {
            if entry.delivery == Delivery::Pending {
                waiting.push(Waiting { value, entry });
                continue;
            }
            // Earlier versions kept settled entries here.
            let id = &entry.notification.id;
            let moved = Swap::new(DONE, id, None, Some(value.clone()));
            self.store.swap(vec![Swap::new(WAITING, id, Some(value), None), moved]).await?;
        }
        waiting.sort_by(|a, b| {
            let key = |w: &Waiting| (w.entry.queued_at, w.entry.notification.id.clone());
            key(a).cmp(&key(b))
        });
        Ok(waiting)
    }

    /// Forgets settled entries that were queued before `before`, and old troubles of channels.
    pub(crate) async fn sweep(&self, before: Timestamp, now: Timestamp) -> Result<()> {
        let waiting = self.waiting().await?.into_iter().map(|one| one.entry.notification.channel).collect();
        channels::sweep(self.store.as_ref(), &waiting, now).await?;
        for (_, entry) in documents::list::<Entry>(self.store.as_ref(), DONE).await? {
            if entry.queued_at < before {
                self.store.delete(DONE, &entry.notification.id).await?;
            }
        }
        Ok(())
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    Error::caused(ErrorKind::Retry, "a notifier failed", error)
}

pub(crate) fn of_channel(notifiers: &[Arc<dyn Notifier>], channel: &str) -> Option<Arc<dyn Notifier>> {
    notifiers.iter().find(|notifier| notifier.channel() == channel).cloned()
}

/// What each channel can be given at `now`.
fn queues(waiting: Vec<Waiting>, now: Timestamp) -> BTreeMap<String, Vec<Waiting>> {
    let closed = |one: &&Waiting| one.entry.channel_waits_until.is_some_and(|until| until > now);
    let closed: HashSet<String> =
        waiting.iter().filter(closed).map(|one| one.entry.notification.channel.clone()).collect();
    let (mut queues, mut held) = (BTreeMap::<String, Vec<Waiting>>::new(), HashSet::new());
    for one in waiting {
        let Notification { channel, alert, .. } = &one.entry.notification;
        let of_alert = (channel.clone(), alert.id.clone());
        if closed.contains(channel) || held.contains(&of_alert) {
            continue;
        }
        if one.entry.is_claimed(now) || one.entry.next_attempt_at > now {
            held.insert(of_alert);
            continue;
        }
        let queue = queues.entry(channel.clone()).or_default();
        if queue.len() < ROUND_MAX {
            queue.push(one);
        }
    }
    queues
}

/// Writes what an attempt came to into the entry.
fn judge(entry: &mut Entry, outcome: Result<()>, now: Timestamp) {
    let (id, channel) = (entry.notification.id.clone(), entry.notification.channel.clone());
    entry.channel_waits_until = None;
    let result = match outcome {
        Ok(()) => {
            entry.delivery = Delivery::Delivered;
            entry.delivered_at = Some(now);
            entry.error = None;
            "delivered"
        }
        Err(error) => {
            let reason = error.to_string();
            let result = if error.kind() == ErrorKind::Reject {
                entry.delivery = Delivery::Refused;
                tracing::error!(notification.id = %id, channel, reason, "notification refused for good");
                "refused"
            } else {
                let (own, asked) = (backoff_s(entry.attempts), error.retry_after().map_or(0, |wait| wait.as_secs()));
                let asked = asked.min(BACKOFF_LONGEST_S);
                entry.next_attempt_at = now + seconds(own.max(asked));
                entry.channel_waits_until = Some(now + seconds(own.min(CHANNEL_WAIT_MAX_S).max(asked)));
                tracing::warn!(notification.id = %id, channel, attempts = entry.attempts, reason, "notification postponed");
                "postponed"
            };
            entry.error = Some(reason);
            result
        }
    };
    metrics::counter!("overheard_alerts_notifications_total", "channel" => channel, "result" => result).increment(1);
}

fn backoff_s(attempts: u32) -> u64 {
    BACKOFF_FIRST_S.saturating_mul(1_u64 << attempts.saturating_sub(1).min(20)).min(BACKOFF_LONGEST_S)
}
