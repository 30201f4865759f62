//! The ports: what a room needs from a disk, a network or a model, in our words. Each has a conformance suite in
//! `testkit` that every implementation passes. "Not found" is `Ok(None)`.

use crate::alert::{Alert, Notification};
use crate::anomaly::Anomaly;
use crate::clock::Timestamp;
use crate::enriched::EnrichedPost;
use crate::enrichment::Enrichment;
use crate::error::Result;
use crate::ids::{PartitionId, PostId};
use crate::place::{Coordinates, Place};
use crate::post::{Post, Provenance, Record};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Position of a record in its partition; starts at 1, grows by appending.
pub type Offset = u64;

/// What became of one appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// On disk, at this offset of its partition.
    Stored(Offset),
    /// The same post (or deletion) is already kept: nothing was added.
    Duplicate,
    /// The post was deleted by its platform before: it stays out.
    Deleted,
}

/// A record on loan to the pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    pub offset: Offset,
    pub record: Record,
}

/// Records of one partition on loan, in order of offset. What is not acked in time is lent again.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    pub id: u64,
    pub partition: PartitionId,
    /// The lease covers the offsets above this one, up to its last record's. Everything up to here is in other leases,
    /// acked or set aside.
    pub after_offset: Offset,
    pub records: Vec<Leased>,
}

/// Something that could not be kept or understood, with the reason. Nothing is thrown away; two letters of one source
/// with one reason and one payload are the same letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Given by the queue; 0 before it is stored.
    pub id: u64,
    pub source: String,
    /// The platform of its posts, where they name none.
    #[serde(default = "platform_before_it_was_kept")]
    pub platform: String,
    /// In words: what is wrong and where.
    pub reason: String,
    /// What came in, as far as it is text (invalid bytes replaced).
    pub payload: String,
    /// The format of `payload` ([`Post::payload_format`]), where the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_format: Option<String>,
    /// How it came, so that a replay says the same. `None`: the letter is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    pub occurred_at: Timestamp,
}

/// Letters without a platform come from before it was kept with them: they were replayed as X's.
fn platform_before_it_was_kept() -> String {
    "x".into()
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    pub waiting: u64,
    pub in_flight: u64,
    pub dead_letters: u64,
    /// No more dead letters are kept until some are replayed or removed.
    pub dead_letters_full: bool,
    /// Records ever appended.
    pub appended: u64,
    /// Appends refused because the post was kept already.
    pub duplicates: u64,
    /// Age of the oldest record not yet acked, in milliseconds.
    pub oldest_ms: u64,
}

/// The listener's side of the queue between listening and understanding: keeps records, and what could not be kept.
#[async_trait]
pub trait PostQueue: Send + Sync {
    /// Puts records on disk, in order; returns, one answer a record, once they are there. De-duplicates by post id. An
    /// edit and a deletion go to the partition of their post. An error of kind `Retry` means full: wait.
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>>;
    /// For each id, whether such a post was ever appended: a platform tells of deletions of many posts that were not.
    async fn has(&self, ids: Vec<PostId>) -> Result<Vec<bool>> {
        Ok(vec![true; ids.len()])
    }
    /// Sets things aside with their reason; a letter that lies there already is not kept twice. An error of kind
    /// `Retry` means that there is no room for more letters: none of these was kept.
    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()>;
    /// The newest dead letters first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters_before(u64::MAX, limit).await
    }
    /// A page of dead letters: those with an id below `before`, the newest first. A page may hold fewer than `limit`
    /// when they are large; only the last one is empty.
    async fn dead_letters_before(&self, before: u64, limit: usize) -> Result<Vec<DeadLetter>>;
    /// The dead letter with this id.
    async fn find_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>>;
    /// Takes a dead letter out (after it was replayed or given up).
    async fn remove_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>>;
    async fn depth(&self) -> Result<QueueDepth>;
}

/// The worker's side of the queue: lends records, each partition in order, until they are acked.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Lends about `limit` records of one partition for `duration`; `None` when there are none to lend. An engine that
    /// carries batches lends a whole batch, for the time that it was set up with.
    async fn lease(&self, limit: usize, duration: Duration) -> Result<Option<Lease>>;
    /// Lends the lease's records for `duration` from now on. False: the lease is not out (it ran out, was acked or
    /// given back).
    async fn extend(&self, lease_id: u64, duration: Duration) -> Result<bool>;
    /// The lease's records are in the lake: forget them. False: the lease is not out any more and nothing was
    /// forgotten; its records are lent again.
    async fn ack(&self, lease_id: u64) -> Result<bool>;
    /// Gives a lease back unprocessed (a stop in mid-batch). A lease that is not out is left as it is.
    async fn release(&self, lease_id: u64) -> Result<()>;
    /// The lake lacks what lies before this lease. True: the lease is given up, because its records are sent again after
    /// those. False: it is still out.
    async fn refuse(&self, _lease_id: u64) -> Result<bool> {
        Ok(false)
    }
    /// Sets aside posts that the queue had accepted, as [`PostQueue::dead_letter`]. There is always room for these.
    async fn dead_letter_accepted(&self, letters: Vec<DeadLetter>) -> Result<()>;
    /// Whether a lease of `size` records would be full now. If not, a lease may be larger later.
    async fn fills(&self, size: usize) -> Result<bool>;
    /// Waits until there may be something to lease, or until `timeout`.
    async fn wait(&self, timeout: Duration);
}

/// Letters that a worker sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SentLetters {
    pub id: u64,
    pub letters: Vec<DeadLetter>,
}

/// Carries batches from the listener, whose queue keeps them until the lake has them, to workers on other machines. A
/// broker may lose, double or reorder batches: the lake takes each offset once, and the listener sends again what is
/// missing there.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Hands over a lease of the listener's queue.
    async fn send(&self, lease: &Lease) -> Result<()>;
    /// Batches of the partition that the broker holds, lent or not.
    async fn holds(&self, partition: &PartitionId) -> Result<u64>;
    /// The next letters that workers set aside; `None` when there are none now.
    async fn letters(&self) -> Result<Option<SentLetters>>;
    /// The letters are kept: forget them.
    async fn ack_letters(&self, id: u64) -> Result<()>;
}

/// One change of a compare and swap ([`StateStore::swap`]). A change whose two values are the same only checks that the
/// document is still so.
#[derive(Debug, Clone, PartialEq)]
pub struct Swap {
    pub kind: String,
    pub key: String,
    /// What was read; `None`: no document.
    pub expected: Option<serde_json::Value>,
    /// What to write; `None`: delete the document.
    pub value: Option<serde_json::Value>,
}

impl Swap {
    pub fn new(kind: &str, key: &str, expected: Option<serde_json::Value>, value: Option<serde_json::Value>) -> Self {
        Self { kind: kind.to_owned(), key: key.to_owned(), expected, value }
    }
}

/// Small durable documents that are not a stream: topics, users, sessions, rules, cursors, alerts, labels. A kind is a
/// plain word, a key any text.
#[async_trait]
pub trait StateStore: Send + Sync {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<serde_json::Value>>;
    async fn put(&self, kind: &str, key: &str, value: serde_json::Value) -> Result<()>;
    /// Compare and swap: applies every change, or none when one of the documents is not as expected any more. Returns
    /// whether they were applied.
    async fn swap(&self, changes: Vec<Swap>) -> Result<bool>;
    /// Writes only when nothing is there yet; says whether it wrote.
    async fn put_new(&self, kind: &str, key: &str, value: serde_json::Value) -> Result<bool> {
        self.swap(vec![Swap::new(kind, key, None, Some(value))]).await
    }
    async fn delete(&self, kind: &str, key: &str) -> Result<bool>;
    /// All of a kind, by key.
    async fn list(&self, kind: &str) -> Result<Vec<(String, serde_json::Value)>>;
}

/// One batch for the lake.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrichedBatch {
    /// Queue partition: the application id of the transaction.
    pub partition: PartitionId,
    /// The batch follows on the batches up to this offset: a table that doesn't hold them refuses the batch. 0: it follows
    /// on nothing.
    pub after_offset: Offset,
    /// Offset of the last record of the lease: the version of the transaction.
    pub last_offset: Offset,
    /// Shared: the tables, another try, and whoever is shown the batch read the same posts.
    pub posts: Arc<Vec<EnrichedPost>>,
    /// Posts to delete everywhere (deleted on the platform, or replaced by an edit).
    pub deletions: Vec<PostId>,
}

/// The writing side of the lake.
#[async_trait]
pub trait PostTable: Send + Sync {
    /// Commits the batch to every table. Rows that an earlier commit of the same partition covered (offset at or below
    /// the table's transaction version) are skipped, so a replayed lease adds nothing. An error of kind `Retry` when a
    /// batch between the table's version and [`EnrichedBatch::after_offset`] is missing: nothing was written to that
    /// table.
    async fn commit(&self, batch: EnrichedBatch) -> Result<()>;
    /// The offset up to which every table holds the partition's rows; `None`: they hold none.
    async fn committed(&self, partition: &PartitionId) -> Result<Option<Offset>>;
    /// Writes again what was understood of posts that are already there (`reprocess`).
    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()>;
    /// Adds or replaces anomalies, by id.
    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()>;
    /// Adds or replaces alerts, by id.
    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()>;
}

/// Gets a copy of posts on their way into the tables, at least once each.
#[async_trait]
pub trait PostSink: Send + Sync {
    /// Delivers all of them, or fails with kind `Retry`: then some may be delivered.
    async fn put(&self, posts: &[EnrichedPost]) -> Result<()>;
}

/// Limits of a query, so that no reader stops the house.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    pub rows_max: usize,
    pub timeout: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { rows_max: 10_000, timeout: Duration::from_secs(30) }
    }
}

/// Rows of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<serde_json::Value>>,
    /// More rows were there than the limit let through.
    pub truncated: bool,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// SQL name of the type.
    pub data_type: String,
}

/// Text in, understanding out. Synchronous: it runs on threads of its own.
pub trait Enricher: Send + Sync {
    /// One answer per post, in order. A post that can't be understood is a `Reject` with its reason; it never spoils
    /// the others.
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>>;
    /// Name and version of the model.
    fn model(&self) -> &str;
}

/// A text in another language than English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untranslated<'a> {
    pub text: &'a str,
    /// ISO 639-1 where one exists, else 639-3.
    pub language: &'a str,
}

/// Translates into English. Synchronous, as [`Enricher`].
pub trait Translator: Send + Sync {
    /// One answer per text, in order. `Reject`: the engine refuses this text or its language; `Retry`: it can't answer
    /// now.
    fn translate(&self, texts: &[Untranslated<'_>]) -> Vec<Result<String>>;
}

/// What is known beside a text that names a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaceHints<'a> {
    /// Language of the post, ISO 639-1.
    pub language: Option<&'a str>,
    /// Country that is likely, ISO 3166-1, two letters.
    pub country: Option<&'a str>,
}

/// Finds places by name and by coordinates. Synchronous, as [`Enricher`].
pub trait Geocoder: Send + Sync {
    /// These texts will be asked for next: an engine on the network fetches them side by side.
    fn prepare(&self, _texts: &[&str]) {}
    /// The places that a text names (a location line, the name of a town), the best first; empty when nothing can be
    /// known. An error says that the engine can't answer now.
    fn locate(&self, text: &str, hints: &PlaceHints<'_>) -> Result<Vec<Place>>;
    /// The place that a point lies in; none far from any town. The coordinates given back are the point's own.
    fn nearest(&self, point: Coordinates) -> Result<Option<Place>>;
}

/// Delivers notifications to one channel.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Name of the channel in rules.
    fn channel(&self) -> &str;
    /// Delivers one notification. `Retry`: try again later; `Reject`: the channel refuses it for good.
    async fn notify(&self, notification: &Notification) -> Result<()>;
}
