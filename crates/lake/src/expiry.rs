//! Retention: days beyond it go, unless so much would go at once that the clock is more likely wrong than the posts old.
//!
//! A run that would take more than half of the posts and more than half of the days out of `raw` deletes nothing and
//! says so, until a person confirms it or the clock is right again. The first run after `retention_days` was changed
//! passes: that much was asked for. What was last asked for is kept in `<lake>/retention.json`.

use crate::error::{Error, Result};
use crate::files::day_of;
use crate::lake::Lake;
use crate::schema::TableName;
use crate::storage::blocking;
use crate::table::{Change, Committed, Table};
use chrono::{Days, NaiveDate};
use deltalake::kernel::LogicalFileView;
use domain::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Keeps what was last asked for.
const FILE: &str = "retention.json";

impl Lake {
    /// The first day that is kept, where some are to go.
    pub(crate) async fn first_kept(&self, now: Timestamp) -> Result<Option<NaiveDate>> {
        let Some((days, first)) = self.retention(now) else { return Ok(None) };
        let record = self.read_retention().await?;
        let is_changed = record.get("days").and_then(Value::as_u64) != Some(days.into());
        let confirmed = record.get("confirmed_before").and_then(Value::as_str).and_then(|day| day.parse().ok());
        if !is_changed && confirmed.is_none_or(|before: NaiveDate| first > before) {
            self.refuse_too_much(days, first, now)?;
        }
        if is_changed {
            self.write_retention(&json!({"days": days})).await?;
        }
        Ok(Some(first))
    }

    /// A person says that the clock is right: the retention may take what it refused to take.
    pub async fn confirm_expiry(&self, now: Timestamp) -> Result<()> {
        self.writable()?;
        match self.retention(now) {
            Some((days, first)) => self.write_retention(&json!({"days": days, "confirmed_before": first})).await,
            None => Ok(()),
        }
    }

    fn retention(&self, now: Timestamp) -> Option<(u32, NaiveDate)> {
        let days = self.config.retention_days?;
        Some((days, now.date_naive().checked_sub_days(Days::new(days.into()))?))
    }

    fn refuse_too_much(&self, days: u32, first: NaiveDate, now: Timestamp) -> Result<()> {
        let mut posts: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        for file in self.table(TableName::Raw).files()? {
            if let Ok(day) = day_of(&file).parse() {
                *posts.entry(day).or_default() += file.num_records().unwrap_or(0);
            }
        }
        let (all, gone) = (posts.values().sum::<usize>(), posts.range(..first).map(|(_, posts)| posts).sum::<usize>());
        let days_gone = posts.range(..first).count();
        if gone * 2 <= all || days_gone * 2 <= posts.len() {
            return Ok(());
        }
        let newest = posts.last_key_value().map(|(day, _)| day.to_string()).unwrap_or_default();
        Err(Error::Expiry(format!(
            "retention_days = {days} would delete {gone} of {all} posts (all before {first}); the clock says {}, the \
             newest post is of {newest}. Nothing was deleted: set the clock right, or stop the program and run \
             `overheard repair --expire` if it is right",
            now.date_naive(),
        )))
    }

    /// What was last asked for; nothing when the file is damaged.
    async fn read_retention(&self) -> Result<Value> {
        let root = self.root.clone();
        let text = blocking(move || root.read(FILE)).await?.unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    async fn write_retention(&self, record: &Value) -> Result<()> {
        let (root, text) = (self.root.clone(), record.to_string());
        blocking(move || root.write(FILE, text)).await
    }

    /// Takes the days before the first that is kept out; returns how many files they had.
    pub(crate) async fn expire(&self, table: &Table, first_kept: Option<NaiveDate>) -> Result<u64> {
        let Some(first_kept) = first_kept else { return Ok(0) };
        let files: Vec<LogicalFileView> = table.files()?;
        let expired = files.iter().filter(|file| day_of(file).parse::<NaiveDate>().is_ok_and(|day| day < first_kept));
        let change = Change { removes: expired.map(|file| file.remove_action(true)).collect(), ..Change::default() };
        let count = change.removes.len() as u64;
        // Outdated: a compaction of another process swapped a file; the next maintenance sees its successor.
        if count > 0 && table.commit(&change).await? == Committed::Outdated {
            return Ok(0);
        }
        Ok(count)
    }
}
