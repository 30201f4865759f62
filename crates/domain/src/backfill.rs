//! Which sources are adding posts of the past at the moment, and how far they are. Volumes are incomplete meanwhile, so
//! detection waits; the dashboard shows the progress.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The progress of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Backfill {
    /// Name of the source.
    pub source: String,
    /// Share of the history that was read, from 0 to 1.
    pub done: f64,
    /// Everything after this time was read: history is added newest first.
    pub complete_from: DateTime<Utc>,
}

/// The backfills of this process.
#[derive(Debug, Default)]
pub struct Backfills(Mutex<BTreeMap<String, Backfill>>);

impl Backfills {
    /// Reports the progress of a source.
    pub fn report(&self, backfill: Backfill) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(backfill.source.clone(), backfill);
    }

    /// Reports that the history of a source is complete.
    pub fn finish(&self, source: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// Backfills in progress, by source.
    pub fn running(&self) -> Vec<Backfill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
