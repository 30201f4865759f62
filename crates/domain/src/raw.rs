//! Posts as they were received: what is needed to read and enrich them again.

use crate::analytics::TimeRange;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ids::{PostId, SourceId};
use crate::ports::PostTable;
use crate::post::{Provenance, Record};
use async_trait::async_trait;
use chrono::NaiveDate;

/// Where records come from: what a record doesn't say itself.
#[derive(Debug, Clone)]
pub struct Origin {
    pub source: SourceId,
    /// The platform of records in the simple form that name none; empty: not known.
    pub platform: String,
    pub provenance: Provenance,
    pub received_at: Timestamp,
}

/// What a stored payload gives when it is read again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PayloadRecords {
    pub records: Vec<Record>,
    /// Why records of it were rejected.
    pub rejections: Vec<String>,
}

/// Reads a stored payload of a format again; without a format its keys tell.
pub type ReadPayload = fn(format: Option<&str>, payload: &str, origin: &Origin) -> PayloadRecords;

/// A post as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPost {
    pub post_id: String,
    pub source: String,
    pub platform: String,
    /// The stored word of [`Provenance`].
    pub provenance: String,
    pub received_at: Timestamp,
    pub payload: String,
    pub payload_format: Option<String>,
}

/// Which posts are read as they were received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawSelection {
    /// Published in a range.
    Range(TimeRange),
    /// Published on one of these days (UTC).
    Days(Vec<NaiveDate>),
    /// Those that were stored and not enriched.
    NotEnriched,
    /// With one of these ids.
    Ids(Vec<PostId>),
}

impl RawSelection {
    /// Whether it selects nothing, whatever is stored.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Days(days) => days.is_empty(),
            Self::Ids(ids) => ids.is_empty(),
            Self::Range(_) | Self::NotEnriched => false,
        }
    }
}

/// The posts of the lake as they were received.
#[async_trait]
pub trait RawPosts: PostTable {
    /// How many posts are selected.
    async fn count_raw(&self, selection: &RawSelection) -> Result<u64>;
    /// A page of the selected posts: those with an id above `after`, by id.
    async fn raw_posts(&self, selection: &RawSelection, after: &str, limit: usize) -> Result<Vec<RawPost>>;
}
