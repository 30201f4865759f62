//! The reading side of the lake: typed questions and typed answers.
//!
//! A question is a plain value that can be compared and hashed, so a cache can use it as its key. How it is answered (from
//! memory, from an index, by SQL) is up to the implementation.

mod counts;
mod dimension;
mod incidents;
mod posts;
mod selection;

pub use counts::{
    BreakdownItem, BreakdownQuery, COUNTED_KINDS, ComparedTotals, CountriesQuery, CountryCount, Counts, PlaceCount,
    PlacesQuery, SeriesPoint, SeriesQuery, TopicVolume, TopicVolumesQuery, Totals, TotalsQuery,
};
pub use dimension::Dimension;
pub use incidents::{AlertsQuery, AnomaliesQuery};
pub use posts::{
    Cursor, FoundPost, PostCopy, PostDetail, PostQuery, PostText, PostsPage, PostsQuery, RecentTextsQuery, StoredPost,
};
pub use selection::{Selection, TimeRange};

use crate::alert::Alert;
use crate::anomaly::Anomaly;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::ports::Column;
use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;

/// Posts of an answer of any length, in pieces. An error ends the stream: what came before is then not the whole answer.
pub type PostStream = BoxStream<'static, Result<Vec<StoredPost>>>;

/// Answers questions about stored posts, anomalies and alerts. A question that needs too much time or memory is refused
/// with [`crate::ErrorKind::TooCostly`].
#[async_trait]
pub trait Analytics: Send + Sync {
    async fn totals(&self, query: &TotalsQuery) -> Result<ComparedTotals>;
    async fn series(&self, query: &SeriesQuery) -> Result<Vec<SeriesPoint>>;
    async fn breakdown(&self, query: &BreakdownQuery) -> Result<Vec<BreakdownItem>>;
    async fn countries(&self, query: &CountriesQuery) -> Result<Vec<CountryCount>>;
    async fn places(&self, query: &PlacesQuery) -> Result<Vec<PlaceCount>>;
    async fn topic_volumes(&self, query: &TopicVolumesQuery) -> Result<Vec<TopicVolume>>;
    /// When the newest post was published.
    async fn newest_at(&self) -> Result<Option<Timestamp>>;
    async fn posts(&self, query: &PostsQuery) -> Result<PostsPage>;
    async fn post(&self, query: &PostQuery) -> Result<Option<PostDetail>>;
    async fn recent_texts(&self, query: &RecentTextsQuery) -> Result<Vec<PostText>>;
    async fn anomalies(&self, query: &AnomaliesQuery) -> Result<Vec<Anomaly>>;
    async fn alerts(&self, query: &AlertsQuery) -> Result<Vec<Alert>>;
    /// Every selected post, the newest first, all of one version.
    async fn export(&self, selection: &Selection) -> Result<PostStream>;
    /// The tables and views that SQL sees.
    async fn tables(&self) -> Result<Vec<TableColumns>>;
    /// Grows with every commit: a key for caches.
    fn version(&self) -> u64;
}

/// A table or view and its columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableColumns {
    pub name: String,
    pub columns: Vec<Column>,
}
