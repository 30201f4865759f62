//! The audit log: who signed in or failed to, and who changed, exported, deleted or asked what, from where. It says that
//! something was done and to what name, never the contents, never a secret. Entries are documents of one kind a day,
//! only ever added; days older than the retention are removed.

use crate::documents::Documents;
use crate::kind::Kind;
use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::{Result, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters kept of a name or subject.
const WORDS_LENGTH_MAX: usize = 200;
/// Entries of one day; beyond it those that change nothing (reads, refusals) are left out, so that nobody fills the disk.
const READS_PER_DAY_MAX: u64 = 20_000;
/// Days before the retention that are looked at for removal: as long as a program may have been off.
const DAYS_CLEANED: usize = 400;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub at: DateTime<Utc>,
    /// The user, `token NAME`, or `command line`; none: a stranger.
    pub who: Option<String>,
    /// Address that it was asked from.
    #[serde(default)]
    pub address: Option<String>,
    /// What was done, as `sign in`, `PUT /api/rules/{name}` or `users reset-password`.
    pub action: String,
    /// What it was done to: the name or id of the rule, user, token, ...
    #[serde(default)]
    pub subject: Option<String>,
    /// `done`, `refused`, or `failed`.
    pub outcome: String,
}

/// A page of entries, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// Give it as `before` to read on; none: there is nothing older.
    pub next: Option<String>,
}

/// The log in the state store.
#[derive(Clone)]
pub struct AuditLog {
    state: Arc<dyn StateStore>,
    /// The day that is written and its number of entries.
    day: Arc<Mutex<Option<(NaiveDate, u64)>>>,
}

/// The entry with the beginning of a long name or subject.
fn shortened(entry: &AuditEntry) -> AuditEntry {
    let short = |text: &String| -> String { text.chars().take(WORDS_LENGTH_MAX).collect() };
    AuditEntry { who: entry.who.as_ref().map(short), subject: entry.subject.as_ref().map(short), ..entry.clone() }
}

impl AuditLog {
    pub fn new(state: Arc<dyn StateStore>) -> Self {
        Self { state, day: Arc::default() }
    }

    fn day(&self) -> MutexGuard<'_, Option<(NaiveDate, u64)>> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self, day: NaiveDate) -> Documents<'_, AuditEntry> {
        Documents::new(self.state.as_ref(), Kind::Audit(day))
    }

    /// Adds an entry.
    pub async fn add(&self, entry: &AuditEntry) -> Result<()> {
        let day = entry.at.date_naive();
        let held = *self.day();
        let count = match held.filter(|(known, _)| *known == day) {
            Some((_, count)) => count,
            None => self.state.list(&Kind::Audit(day).name()).await?.len() as u64,
        };
        let reads = entry.outcome == "refused" || !changes(&entry.action);
        if reads && count >= READS_PER_DAY_MAX {
            return Ok(());
        }
        *self.day() = Some((day, count + 1));
        let key = format!("{:020}-{}", entry.at.timestamp_micros(), &Uuid::new_v4().simple().to_string()[..8]);
        self.documents(day).put_new(&key, &shortened(entry)).await.map(drop)
    }

    /// Adds what an operator did at the command line.
    pub async fn add_command(&self, action: &str, subject: &str, now: Timestamp) -> Result<()> {
        let entry = AuditEntry {
            at: now,
            who: Some("command line".into()),
            address: None,
            action: action.into(),
            subject: Some(subject.into()),
            outcome: "done".into(),
        };
        self.add(&entry).await
    }

    /// Up to `limit` entries older than `before` (a page's `next`), the newest first, as far back as `days`.
    pub async fn page(&self, before: Option<&str>, limit: usize, days: u32, now: Timestamp) -> Result<AuditPage> {
        let micros = before.and_then(|key| key.split('-').next()?.parse().ok());
        let from = micros.and_then(DateTime::from_timestamp_micros).unwrap_or(now).date_naive();
        let oldest = now.date_naive().checked_sub_days(Days::new(days.into())).unwrap_or(NaiveDate::MIN);
        let mut entries = Vec::new();
        let (mut next, mut more) = (None, false);
        let days = std::iter::successors(Some(from), NaiveDate::pred_opt).take_while(|day| *day >= oldest);
        'days: for day in days {
            for (key, document) in self.state.list(&Kind::Audit(day).name()).await?.into_iter().rev() {
                if before.is_some_and(|before| key.as_str() >= before) {
                    continue;
                }
                if entries.len() == limit {
                    more = true;
                    break 'days;
                }
                next = Some(key);
                entries.extend(serde_json::from_value::<AuditEntry>(document).ok());
            }
        }
        Ok(AuditPage { entries, next: next.filter(|_| more) })
    }

    /// Removes days older than the retention.
    pub async fn expire(&self, days: u32, now: Timestamp) -> Result<()> {
        let newest = now.date_naive().checked_sub_days(Days::new(u64::from(days) + 1));
        let old = std::iter::successors(newest, NaiveDate::pred_opt).take(DAYS_CLEANED);
        for day in old {
            for (key, _) in self.state.list(&Kind::Audit(day).name()).await? {
                self.state.delete(&Kind::Audit(day).name(), &key).await?;
            }
        }
        Ok(())
    }
}

/// Whether an action changes something, beside those that only look.
fn changes(action: &str) -> bool {
    !action.starts_with("GET ") && action != "POST /api/sql"
}
