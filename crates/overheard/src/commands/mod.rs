//! One file per command: its flags, its help, what it does.

pub(crate) mod alerts;
pub(crate) mod analyze;
pub(crate) mod audit;
pub(crate) mod backtest;
pub(crate) mod backup;
pub(crate) mod categories;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod cost;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod forget;
pub(crate) mod geocode;
pub(crate) mod import;
pub(crate) mod lambda;
pub(crate) mod models;
pub(crate) mod reconcile;
pub(crate) mod repair;
pub(crate) mod reprocess;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod sql;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod users;

use anyhow::{Context, Result};
use domain::Timestamp;

/// A day (its first moment, UTC) or a moment, as people type it.
pub(crate) fn moment(text: &str) -> Result<Timestamp> {
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    let moment = chrono::DateTime::parse_from_rfc3339(text);
    let moment = moment.with_context(|| format!("invalid date {text:?} (use e.g. 2026-03-01 or 2026-03-01T12:00:00Z)"));
    Ok(moment?.to_utc())
}
