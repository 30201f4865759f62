//! Notifications on their way out. Those that wait are documents of the kind `Notification`; once delivered, refused for
//! good or given up they move to `NotificationDone`, in one swap. An entry's id is made of alert, channel and
//! kind and is written only when neither kind has it: that, and nothing in memory, keeps a repeat of the same onset from
//! being told twice, also across restarts.
//!
//! Whoever delivers an entry first claims it (owner and deadline) by compare and swap, so several processes can work one
//! outbox. Between a delivery and its mark lies a moment in which a crash would send again once the claim has run out; the
//! id in every payload lets the receiver drop it.
//!
//! Channels are worked side by side, each in the order of queueing; an entry waits for the earlier ones of its alert.

use crate::channels;
use crate::entry::{Delivery, Entry};
use chrono::TimeDelta;
use domain::{Clock, Error, ErrorKind, Notification, Notifier, Result, StateStore, Swap, Timestamp, seconds};
use state::{Documents, Kind, Stored, TRIES_MAX};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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

    fn waiting(&self) -> Documents<'_, Entry> {
        Documents::new(self.store.as_ref(), Kind::Notification)
    }

    fn done(&self) -> Documents<'_, Entry> {
        Documents::new(self.store.as_ref(), Kind::NotificationDone)
    }

    /// Queues a notification for `not_before`, unless its id was ever queued before; says whether it was new.
    pub async fn queue(&self, notification: Notification, not_before: Timestamp, now: Timestamp) -> Result<bool> {
        let changes = self.changes(vec![Entry::new(notification, not_before, now)]).await?;
        Ok(!changes.is_empty() && self.store.swap(changes).await?)
    }

    /// The changes that queue those of the entries whose ids were never queued before.
    pub(crate) async fn changes(&self, entries: Vec<Entry>) -> Result<Vec<Swap>> {
        let (waiting, done, mut changes) = (self.waiting(), self.done(), Vec::new());
        for entry in entries {
            let id = &entry.notification.id;
            if !waiting.exists(id).await? && !done.exists(id).await? {
                changes.extend([done.absent(id), waiting.added(id, &entry)?]);
            }
        }
        Ok(changes)
    }

    /// All entries: those that wait, then the others.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        let (waiting, done) = (self.read_waiting().await?, self.done().list_or_set_aside().await?);
        Ok(waiting.into_iter().chain(done).map(|stored| stored.value).collect())
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
            let notifier = of_channel(notifiers, &entry.notification.channel);
            let id = entry.notification.id.clone();
            self.waiting().put(&id, &entry).await?;
            let claimed = self.waiting().as_written(&id, entry)?;
            let (outbox, clock) = (self.clone(), clock.clone());
            attempts.spawn(async move { outbox.attempt(claimed, notifier, clock.as_ref()).await });
        }
        let mut entries = Vec::new();
        while let Some(ended) = attempts.join_next().await {
            entries.push(ended.map_err(panicked)??);
        }
        Ok(entries)
    }

    /// What each channel can be given now, in order. What is too old is given up on the way.
    pub(crate) async fn due(&self, now: Timestamp) -> Result<BTreeMap<String, Vec<Stored<Entry>>>> {
        let (old, waiting): (Vec<_>, Vec<_>) =
            self.read_waiting().await?.into_iter().partition(|one| self.is_too_old(&one.value, now));
        for stored in old {
            let mut entry = stored.value.clone();
            let last = entry.error.take().unwrap_or_else(|| "it was never tried".into());
            entry.error = Some(format!("not delivered within {} hours; {last}", self.deliver_within.num_hours()));
            entry.delivery = Delivery::Expired;
            tracing::error!(notification.id = %entry.notification.id, "notification given up");
            self.settle(stored, entry, now).await?;
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
        queue: Vec<Stored<Entry>>,
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
        waiting: Stored<Entry>,
        notifier: Option<Arc<dyn Notifier>>,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let entry = waiting.value.clone().claimed(clock.now());
        match self.store.swap(vec![self.waiting().changed(&waiting, &entry)?]).await? {
            true => {
                let claimed = self.waiting().as_written(&waiting.key, entry)?;
                self.attempt(claimed, notifier, clock).await.map(Some)
            }
            false => Ok(None),
        }
    }

    /// Delivers a claimed entry and writes down the outcome.
    #[tracing::instrument(
        name = "notify",
        skip_all,
        fields(notification.id = claimed.key, channel = claimed.value.notification.channel)
    )]
    async fn attempt(
        &self,
        claimed: Stored<Entry>,
        notifier: Option<Arc<dyn Notifier>>,
        clock: &dyn Clock,
    ) -> Result<Entry> {
        let mut entry = claimed.value.clone();
        let outcome = match notifier {
            Some(notifier) => tokio::time::timeout(DELIVERY_MAX, notifier.notify(&entry.notification))
                .await
                .unwrap_or_else(|_| Err(Error::retry(format!("no answer within {} s", DELIVERY_MAX.as_secs())))),
            // The channel may come back with the next configuration: keep the notification.
            None => Err(Error::retry(format!("channel {} is not configured", entry.notification.channel))),
        };
        let now = clock.now();
        judge(&mut entry, outcome, now);
        self.settle(claimed, entry.clone(), now).await?;
        Ok(entry)
    }

    /// Writes the outcome into the document, whatever was changed in its words meanwhile (a post was deleted).
    async fn settle(&self, mut stored: Stored<Entry>, outcome: Entry, now: Timestamp) -> Result<()> {
        let waiting = self.waiting();
        for _ in 0..TRIES_MAX {
            let after = Entry { notification: stored.value.notification.clone(), claim: None, ..outcome.clone() };
            let changes = match outcome.delivery {
                Delivery::Pending => vec![waiting.changed(&stored, &after)?],
                _ => waiting.moved(&stored, &self.done(), &after)?.into(),
            };
            if self.store.swap(changes).await? {
                return channels::note(self.store.as_ref(), &outcome, now).await;
            }
            match waiting.get_or_set_aside(&stored.key).await? {
                Some(changed) if changed.value.claim == stored.value.claim => stored = changed,
                _ => {
                    tracing::warn!(notification.id = %stored.key, "the claim on a notification ran out during its delivery");
                    return Ok(());
                }
            }
        }
        Err(waiting.contended(&stored.key))
    }

    /// The entries that wait, the oldest first.
    async fn read_waiting(&self) -> Result<Vec<Stored<Entry>>> {
        let (documents, mut waiting) = (self.waiting(), Vec::new());
        for stored in documents.list_or_set_aside().await? {
            if stored.value.delivery == Delivery::Pending {
                waiting.push(stored);
                continue;
            }
            // Earlier versions kept settled entries here.
            self.store.swap(documents.moved(&stored, &self.done(), &stored.value)?.into()).await?;
        }
        waiting.sort_by(|a, b| (a.value.queued_at, &a.key).cmp(&(b.value.queued_at, &b.key)));
        Ok(waiting)
    }

    /// Forgets settled entries that were queued before `before`, and old troubles of channels.
    pub(crate) async fn sweep(&self, before: Timestamp, now: Timestamp) -> Result<()> {
        let waiting = self.read_waiting().await?.into_iter().map(|one| one.value.notification.channel).collect();
        channels::sweep(self.store.as_ref(), &waiting, now).await?;
        let done = self.done();
        for stored in done.list_or_set_aside().await? {
            if stored.value.queued_at < before {
                done.delete(&stored.key).await?;
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
fn queues(waiting: Vec<Stored<Entry>>, now: Timestamp) -> BTreeMap<String, Vec<Stored<Entry>>> {
    let closed = |one: &&Stored<Entry>| one.value.channel_waits_until.is_some_and(|until| until > now);
    let closed: HashSet<String> =
        waiting.iter().filter(closed).map(|one| one.value.notification.channel.clone()).collect();
    let (mut queues, mut held) = (BTreeMap::<String, Vec<Stored<Entry>>>::new(), HashSet::new());
    for one in waiting {
        let Notification { channel, alert, .. } = &one.value.notification;
        let of_alert = (channel.clone(), alert.id.clone());
        if closed.contains(channel) || held.contains(&of_alert) {
            continue;
        }
        if one.value.is_claimed(now) || one.value.next_attempt_at > now {
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
