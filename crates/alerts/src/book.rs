//! The life of alerts: opened by a rule, grouped, updated, acknowledged, silenced, resolved. Every alert is a document in
//! the state store, its id made of rule, topic and onset, so that observing the same facts again, even after a restart,
//! finds the alert instead of opening another. Alerts that go on are of the kind `Alert`; those that are over, and are in
//! the lake's table so, move to `AlertDone`: what is looked at all the time stays small.
//!
//! Every change is a compare and swap, together with the notifications that it causes: a person's word and the judging of
//! rules never overwrite each other, whichever process they come from.

use crate::entry::{Delivery, Entry};
use crate::evaluate::{Finding, evaluate};
use crate::facts::Facts;
use crate::life::{Policy, StoredAlert, Undelivered};
use crate::outbox::Outbox;
use chrono::TimeDelta;
use domain::{
    Alert, AlertRule, Clock, Notification, Notifier, PostTable, QuietHours, Result, Severity, StateStore, Swap,
    Timestamp,
};
use state::{Documents, Kind, Stored, TRIES_MAX};
use std::sync::Arc;

/// Keeps the alerts and decides what is told.
#[derive(Clone)]
pub struct AlertBook {
    store: Arc<dyn StateStore>,
    outbox: Outbox,
    policy: Policy,
}

/// An alert as it was read, and of which kind.
struct Kept {
    kind: Kind,
    document: Stored<StoredAlert>,
}

/// What a change of an alert tells the channels: `opened`, `updated`, `resolved`.
type Told = Option<&'static str>;

impl AlertBook {
    pub fn new(store: Arc<dyn StateStore>, policy: Policy) -> Self {
        Self { outbox: Outbox::new(store.clone(), policy.deliver_within_s), store, policy }
    }

    /// Where the notifications wait.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) fn store(&self) -> &dyn StateStore {
        self.store.as_ref()
    }

    /// Judges the facts by every rule and carries the alerts on. Gives back the alerts that changed.
    /// One caller at a time.
    #[tracing::instrument(name = "alert rules", skip_all, fields(rules = rules.len(), facts = facts.len()))]
    pub async fn observe(&self, rules: &[AlertRule], facts: &[Facts], now: Timestamp) -> Result<Vec<Alert>> {
        let mut alerts = self.read(Kind::Alert).await?;
        let (mut done, mut changed) = (None, Vec::new());
        for rule in rules {
            for facts in facts {
                let Some(finding) = evaluate(rule, facts, now) else { continue };
                let topic = facts.topic.as_deref();
                let covers = |kept: &Kept| kept.document.value.covers(rule, topic, &finding, self.policy);
                if let Some(kept) = alerts.iter_mut().find(|kept| covers(kept)) {
                    changed.extend(self.carry_on(rule, kept, &finding, now).await?);
                    continue;
                }
                let done = match &mut done {
                    Some(done) => done,
                    None => done.insert(self.read(Kind::AlertDone).await?),
                };
                if let Some(kept) = done.iter_mut().find(|kept| covers(kept)) {
                    changed.extend(self.carry_on(rule, kept, &finding, now).await?);
                    continue;
                }
                let cooling = alerts.iter().chain(done.iter()).any(|kept| kept.document.value.cools(rule, topic, now));
                let opened = self.open(rule, topic, finding, !cooling, now).await?;
                changed.push(opened.document.value.alert.clone());
                alerts.push(opened);
            }
        }
        for mut kept in alerts {
            let rule = rules.iter().find(|rule| rule.name == kept.document.value.alert.rule);
            let before = kept.document.value.alert.clone();
            let pass = |stored: &mut StoredAlert| stored.pass_time(self.policy, now).then_some("resolved");
            self.edit(&mut kept, rule, pass, now).await?;
            if kept.document.value.alert != before {
                changed.push(kept.document.value.alert);
            }
        }
        Ok(changed)
    }

    /// All alerts, the newest first.
    pub async fn alerts(&self) -> Result<Vec<StoredAlert>> {
        let kept = self.read(Kind::Alert).await?.into_iter().chain(self.read(Kind::AlertDone).await?);
        let mut alerts: Vec<StoredAlert> = kept.map(|kept| kept.document.value).collect();
        alerts.sort_by_key(|shown| std::cmp::Reverse(shown.alert.opened_at));
        Ok(alerts)
    }

    /// One alert as it stands now.
    pub async fn alert(&self, id: &str) -> Result<Option<StoredAlert>> {
        Ok(self.find(id).await?.map(|kept| kept.document.value))
    }

    /// Somebody takes care: no further updates are sent. None: no such alert.
    pub async fn acknowledge(&self, id: &str, who: &str, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| stored.acknowledge(who, now)).await
    }

    /// Nothing more of this alert until the given time; what waits in the outbox still goes out.
    pub async fn silence(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| stored.silence(until, now)).await
    }

    /// Over, by somebody's word: nothing is sent about it.
    pub async fn resolve(&self, id: &str, now: Timestamp) -> Result<Option<Alert>> {
        self.change(id, now, |stored| stored.resolve(now)).await
    }

    /// Sends a sample through every channel of the rule, marked as a test; gives back what became of each.
    pub async fn send_test(
        &self,
        rule: &AlertRule,
        notifiers: &[Arc<dyn Notifier>],
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<Entry>> {
        let now = clock.now();
        let alert = crate::words::sample(rule, now);
        let test = |channel: &String| Notification {
            id: format!("test-{}:{channel}:{}", rule.name, now.timestamp_millis()),
            channel: channel.clone(),
            kind: "test".into(),
            alert: alert.clone(),
        };
        self.outbox.deliver(rule.channels.iter().map(test).collect(), notifiers, clock).await
    }

    /// Notes on the alerts what became of their notifications; gives back the alerts that changed.
    pub async fn note_settled(&self, settled: &[Entry], now: Timestamp) -> Result<Vec<Alert>> {
        let mut changed = Vec::new();
        for entry in settled {
            let channel = &entry.notification.channel;
            let note = |stored: &mut StoredAlert| {
                let before = stored.alert.clone();
                match entry.delivery {
                    Delivery::Pending => {}
                    Delivery::Delivered => stored.alert.notified.push((channel.clone(), now)),
                    Delivery::Refused | Delivery::Expired => {
                        let reason = entry.error.clone().unwrap_or_default();
                        stored.undelivered.push(Undelivered { channel: channel.clone(), at: now, reason });
                    }
                }
                stored.touch(&before, now);
            };
            changed.extend(self.change(&entry.notification.alert.id, now, note).await?);
        }
        Ok(changed)
    }

    /// Writes the alerts that changed into the lake's table, which is for reading; what fails there is written the next
    /// time, by whichever process can.
    pub async fn write(&self, table: &dyn PostTable, now: Timestamp) -> Result<()> {
        let alerts = self.unwritten().await?;
        if alerts.is_empty() {
            return Ok(());
        }
        table.put_alerts(alerts.clone()).await?;
        self.written(&alerts, now).await
    }

    /// The alerts whose last change is not in the lake's table yet.
    async fn unwritten(&self) -> Result<Vec<Alert>> {
        let alerts = self.read(Kind::Alert).await?.into_iter().filter(|kept| kept.document.value.unwritten);
        Ok(alerts.map(|kept| kept.document.value.alert).collect())
    }

    /// The lake has these alerts as they were given.
    async fn written(&self, alerts: &[Alert], now: Timestamp) -> Result<()> {
        for alert in alerts {
            let Some(mut kept) = self.find(&alert.id).await? else { continue };
            let clear = |stored: &mut StoredAlert| {
                stored.unwritten &= stored.alert.updated_at != alert.updated_at;
                None
            };
            self.edit(&mut kept, None, clear, now).await?;
        }
        Ok(())
    }

    /// Forgets alerts and notifications that have been over for longer than they are kept.
    pub async fn sweep(&self, now: Timestamp) -> Result<()> {
        let before = now - TimeDelta::days(self.policy.keep_days.into());
        for kept in self.read(Kind::AlertDone).await? {
            if kept.document.value.alert.updated_at < before {
                self.documents(Kind::AlertDone).delete(&kept.document.key).await?;
            }
        }
        self.outbox.sweep(before, now).await
    }

    fn documents(&self, kind: Kind) -> Documents<'_, StoredAlert> {
        Documents::new(self.store(), kind)
    }

    /// The newest first.
    async fn read(&self, kind: Kind) -> Result<Vec<Kept>> {
        let documents = self.documents(kind).list_or_set_aside().await?.into_iter();
        let mut kept: Vec<Kept> = documents.map(|document| Kept { kind, document }).collect();
        kept.sort_by_key(|kept: &Kept| std::cmp::Reverse(kept.document.value.alert.opened_at));
        Ok(kept)
    }

    async fn find(&self, id: &str) -> Result<Option<Kept>> {
        for kind in [Kind::Alert, Kind::AlertDone] {
            if let Some(document) = self.documents(kind).get_or_set_aside(id).await? {
                return Ok(Some(Kept { kind, document }));
            }
        }
        Ok(None)
    }

    async fn change(&self, id: &str, now: Timestamp, edit: impl Fn(&mut StoredAlert)) -> Result<Option<Alert>> {
        let Some(mut kept) = self.find(id).await? else { return Ok(None) };
        let silent = |stored: &mut StoredAlert| {
            edit(stored);
            None
        };
        self.edit(&mut kept, None, silent, now).await?;
        Ok(Some(kept.document.value.alert))
    }

    async fn carry_on(
        &self,
        rule: &AlertRule,
        kept: &mut Kept,
        finding: &Finding,
        now: Timestamp,
    ) -> Result<Option<Alert>> {
        let before = kept.document.value.alert.clone();
        self.edit(kept, Some(rule), |stored| stored.take_in(finding, now).then_some("updated"), now).await?;
        Ok((kept.document.value.alert != before).then(|| kept.document.value.alert.clone()))
    }

    async fn open(
        &self,
        rule: &AlertRule,
        topic: Option<&str>,
        finding: Finding,
        announced: bool,
        now: Timestamp,
    ) -> Result<Kept> {
        let stored = StoredAlert::open(rule, topic, finding, announced, now);
        let (id, documents) = (stored.alert.id.clone(), self.documents(Kind::Alert));
        for _ in 0..TRIES_MAX {
            let told = announced.then_some("opened");
            let mut changes = self.notifications(rule, &stored, told, now).await?;
            changes.push(documents.added(&id, &stored)?);
            if self.store.swap(changes).await? {
                tracing::info!(alert.id = %id, announced, "alert opened");
                metrics::counter!("overheard_alerts_opened_total").increment(1);
                return Ok(Kept { kind: Kind::Alert, document: documents.as_written(&id, stored)? });
            }
            // Another process opened it.
            if let Some(kept) = self.find(&id).await? {
                return Ok(kept);
            }
        }
        Err(documents.contended(&id))
    }

    /// Changes an alert and queues what the change tells, in one swap. Where others changed the document meanwhile, the
    /// edit runs again on what it is now.
    async fn edit(
        &self,
        kept: &mut Kept,
        rule: Option<&AlertRule>,
        edit: impl Fn(&mut StoredAlert) -> Told,
        now: Timestamp,
    ) -> Result<()> {
        let id = kept.document.key.clone();
        for _ in 0..TRIES_MAX {
            let mut stored = kept.document.value.clone();
            let told = edit(&mut stored);
            let to = if stored.is_over() && !stored.unwritten { Kind::AlertDone } else { Kind::Alert };
            if stored == kept.document.value && to == kept.kind {
                return Ok(());
            }
            let mut changes = match rule {
                Some(rule) => self.notifications(rule, &stored, told, now).await?,
                None => Vec::new(),
            };
            let (from, documents) = (self.documents(kept.kind), self.documents(to));
            if to == kept.kind {
                changes.push(documents.changed(&kept.document, &stored)?);
            } else {
                changes.extend(from.moved(&kept.document, &documents, &stored)?);
            }
            if self.store.swap(changes).await? {
                *kept = Kept { kind: to, document: documents.as_written(&id, stored)? };
                return Ok(());
            }
            match self.find(&id).await? {
                Some(changed) => *kept = changed,
                // Forgotten meanwhile.
                None => return Ok(()),
            }
        }
        Err(self.documents(kept.kind).contended(&id))
    }

    /// The changes that queue one notification per channel; outside the quiet hours unless critical.
    async fn notifications(
        &self,
        rule: &AlertRule,
        stored: &StoredAlert,
        told: Told,
        now: Timestamp,
    ) -> Result<Vec<Swap>> {
        let Some(kind) = told else { return Ok(Vec::new()) };
        let quiet = rule.quiet_hours.as_deref().and_then(|text| text.parse::<QuietHours>().ok());
        let not_before = match quiet.and_then(|quiet| quiet.end_after(now)) {
            Some(end) if stored.alert.severity < Severity::Critical => end,
            _ => now,
        };
        let step = if kind == "updated" { stored.alert.severity.as_str() } else { "" };
        let entry = |channel: &String| {
            let notification = Notification {
                id: format!("{}:{channel}:{kind}{step}", stored.alert.id),
                channel: channel.clone(),
                kind: kind.to_owned(),
                alert: stored.alert.clone(),
            };
            Entry::new(notification, not_before, now)
        };
        self.outbox.changes(rule.channels.iter().map(entry).collect()).await
    }
}
