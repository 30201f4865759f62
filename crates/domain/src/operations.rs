//! The ports through which the server reaches the running installation, one for each that asks: system pages
//! ([`SystemInfo`]), programs that push ([`PushIntake`]), alert pages ([`AlertDesk`]), SQL ([`SqlRunner`]), administrators
//! ([`PostAdmin`]). `runtime` implements them, and `lake` the one for SQL.

use crate::alert::{Alert, AlertRule};
use crate::backfill::Backfill;
use crate::categories::CategoryDefinition;
use crate::error::Result;
use crate::ports::{Column, DeadLetter, QueryLimits};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One configured source and how it does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceStatus {
    /// Name of the source, as in the configuration.
    pub id: String,
    /// Connector: `x`, `push`, `file`, `bluesky`, ...
    pub connector: String,
    /// `connected`, `connecting`, `waiting`, `stopped`, `failed`; `another process` where this one does not read it.
    pub state: String,
    /// Since when it is in this state.
    pub since: Option<DateTime<Utc>>,
    /// Posts received since the process started.
    pub posts: u64,
    /// Posts received in the last minute.
    pub posts_per_minute: f64,
    /// When the newest post came.
    pub last_post_at: Option<DateTime<Utc>>,
    /// The last error in words, with what to do about it.
    pub last_error: Option<String>,
    /// What the posts read so far cost, in US dollars, where the platform charges.
    pub cost_usd: Option<f64>,
}

/// One table of the lake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableReport {
    pub name: String,
    pub rows: u64,
    pub files: u64,
    pub size_bytes: u64,
    /// Version of the Delta table.
    pub version: u64,
}

/// State of the installation, beside the queue's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemReport {
    /// Version of the program.
    pub version: String,
    pub started_at: Option<DateTime<Utc>>,
    /// Roles that this process plays: `listen`, `understand`, `detect`, `serve`.
    pub roles: Vec<String>,
    /// Name and version of the language model; none when posts are kept without being understood.
    pub model: Option<String>,
    /// Posts committed per second, mean of the last minute.
    pub posts_per_second: f64,
    /// From a post's arrival to its commit, median of the last minute, milliseconds.
    pub lag_p50_ms: Option<u64>,
    /// The same, 99th percentile.
    pub lag_p99_ms: Option<u64>,
    /// Memory in use by the process, bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes that the data folder takes.
    pub disk_used_bytes: Option<u64>,
    /// Bytes free on its disk.
    pub disk_free_bytes: Option<u64>,
    /// Days that posts are kept; none: for ever.
    pub retention_days: Option<u32>,
    pub tables: Vec<TableReport>,
    /// Names of the channels that rules can tell.
    pub channels: Vec<String>,
    /// What an operator should know, in words.
    pub notices: Vec<String>,
}

/// What became of one pushed post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PushStatus {
    /// On disk.
    Accepted,
    /// Kept already.
    Duplicate,
    /// Bad; see the reason. It lies with the dead letters.
    Rejected,
}

/// The answer for one item of a push, in the order of the items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PushOutcome {
    pub status: PushStatus,
    /// Id under which the post is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_id: Option<String>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a push as a whole was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushError {
    /// The body is not what the content type says; the sentence is for the sender.
    Malformed(String),
    /// More items or bytes than one call may carry; the sentence is for the sender.
    TooLarge(String),
    /// The token's source may not push; the sentence says why.
    NotAllowed(String),
    /// A call of a platform does not prove where it comes from; the sentence says what is missing.
    Unproven(String),
    /// The queue is full.
    Full { retry_after_s: u32 },
    /// The dead letters are full, and the call has items to set aside.
    LettersFull { retry_after_s: u32 },
    /// Something failed inside; nothing was kept.
    Failed(String),
}

/// A notification that did not reach its channel: refused for good, or given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Undelivered {
    pub channel: String,
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// An alert as it stands now.
#[derive(Debug, Clone)]
pub struct AlertNow {
    pub alert: Alert,
    pub undelivered: Vec<Undelivered>,
}

fn yes() -> bool {
    true
}

/// Which posts are to be deleted for good: those named, those of an author, those that match a query.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ToForget {
    /// Ids of posts, `platform:native_id`.
    #[serde(default)]
    pub posts: Vec<String>,
    /// User name or id, with or without `@`.
    #[serde(default)]
    pub author: Option<String>,
    /// Only the author of that name on this platform.
    #[serde(default)]
    pub platform: Option<String>,
    /// A query as topics have it.
    #[serde(default)]
    pub query: Option<String>,
    /// Refuse the author's posts from now on.
    #[serde(default)]
    pub and_block: bool,
    /// True unless said otherwise: nothing is deleted.
    #[serde(default = "yes")]
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Forgotten {
    pub posts: usize,
    /// How many of the posts are reposts by others, which hold the same words.
    pub reposts: usize,
    /// The first of their ids.
    pub first_ids: Vec<String>,
    pub deleted: bool,
    /// The copies of their words are cleared by the process that carries posts, within minutes.
    pub traces_later: bool,
    /// Anomalies that had a post as an example or its author among their reasons.
    pub anomalies: usize,
    /// Alerts and notifications of the same kind.
    pub alerts: usize,
    pub dead_letters: usize,
    pub corrections: usize,
}

/// What became of a replayed dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// Posts that are in the queue now.
    pub accepted: u64,
    /// Why it failed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to a person's SQL.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SqlAnswer {
    pub columns: Vec<Column>,
    /// JSON, an array with an array of values for each row: the server passes it on unread.
    pub rows: Vec<u8>,
    /// More rows were there than the limits let through.
    pub truncated: bool,
}

/// What the server tells of the running installation.
#[async_trait]
pub trait SystemInfo: Send + Sync {
    /// Every configured source.
    async fn sources(&self) -> Vec<SourceStatus>;
    async fn system(&self) -> SystemReport;
    /// Names of the components that can't do their work now (503 on `/readyz`); none when all is well. Why they can't
    /// is told to people who are signed in, by the system's notices.
    async fn not_ready(&self) -> Vec<String>;
    /// Sources that add posts of the past at the moment.
    fn backfills(&self) -> Vec<Backfill>;
    /// Prometheus text of all metrics.
    fn metrics(&self) -> String;
    /// The categories of the configuration's file, which hold while none are saved on the page.
    async fn preset_categories(&self) -> Result<Vec<CategoryDefinition>>;
}

/// Takes posts that programs push.
#[async_trait]
pub trait PushIntake: Send + Sync {
    /// Whether a push source of this name is configured; an error when none may be called so, with the reason.
    fn push_source(&self, source: &str) -> std::result::Result<bool, String>;
    /// Takes the body of a push for a source: JSON or NDJSON by its content type.
    async fn push(&self, source: &str, content_type: Option<&str>, body: &[u8]) -> Result<Vec<PushOutcome>, PushError>;
    /// Refuses a call of a platform by its headers, whose names are in small letters. Returns the most bytes that its body
    /// may have.
    fn check_call(&self, source: &str, headers: &[(String, String)]) -> std::result::Result<usize, PushError>;
    /// Takes a call of a platform in its own form.
    async fn call(
        &self,
        source: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Vec<PushOutcome>, PushError>;
}

/// The alert rules in force, and what people do with alerts.
#[async_trait]
pub trait AlertDesk: Send + Sync {
    /// Every rule that is judged: of the configuration, of the state store, or the one that holds when there is none.
    async fn rules(&self) -> Result<Vec<AlertRule>>;
    /// The rules that can't be judged at the moment, by name, with a sentence each.
    async fn rule_problems(&self) -> Result<HashMap<String, String>>;
    /// Names of the configured channels.
    fn channels(&self) -> Vec<String>;
    /// The alerts of these ids that are still kept, as they stand now: the lake's table may be behind.
    async fn alerts_now(&self, ids: &[String]) -> Result<Vec<AlertNow>>;
    /// Someone takes an alert in hand: no more notifications of it. `None`: no such alert.
    async fn acknowledge(&self, alert_id: &str, who: &str) -> Result<Option<Alert>>;
    /// No notifications of this alert until then. `None`: no such alert.
    async fn silence(&self, alert_id: &str, until: DateTime<Utc>) -> Result<Option<Alert>>;
    /// The alerts that a rule would have opened in a stretch of history.
    async fn back_test(&self, rule: &AlertRule, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<Alert>>;
}

/// Runs people's SQL.
#[async_trait]
pub trait SqlRunner: Send + Sync {
    /// Runs a person's read-only statement where it can hurt nobody but him. It ends when this is dropped.
    async fn sql(&self, sql: &str, limits: QueryLimits) -> Result<SqlAnswer>;
}

/// A provider that people sign in with (OpenID Connect), besides passwords.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The provider, as the sign-in page calls it.
    fn name(&self) -> &str;
    /// The provider's page to which a browser is sent for this attempt.
    async fn page(&self, attempt: &SignInAttempt) -> Result<String>;
    /// Who signed in there. `code`: what the provider gave the browser. An error of kind `Reject`: the provider, or what it
    /// says, refuses this attempt; `Retry`: it can't be asked now.
    async fn identity(&self, code: &str, attempt: &SignInAttempt) -> Result<Identity>;
}

/// One attempt to sign in with a provider. The three texts are random and used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInAttempt {
    /// Ties the provider's answer to the browser that asked.
    pub state: String,
    /// Ties what the provider says of the person to this attempt.
    pub nonce: String,
    /// Ties the code to this attempt (RFC 7636).
    pub verifier: String,
    /// Where the provider sends the browser.
    pub callback: String,
}

/// A person as the provider knows him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's address and its own id of the person, which never changes.
    pub subject: String,
    /// The name for people.
    pub name: String,
    pub groups: Vec<String>,
}

/// What administrators do with stored posts and dead letters.
#[async_trait]
pub trait PostAdmin: Send + Sync {
    /// Deletes posts for good with every copy of their words.
    async fn forget(&self, what: ToForget) -> Result<Forgotten>;
    /// Sends a dead letter through its source once more.
    async fn replay(&self, letter: &DeadLetter) -> Result<Replayed>;
}
