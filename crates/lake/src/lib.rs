//! Delta tables on the local disk or in a bucket, and SQL over them.
//!
//! # What is promised
//!
//! - A batch is visible in a table whole or not at all: one Delta commit per table, in the fixed order `raw`,
//!   `sentiment`, `entities`, `key_phrases`.
//! - A batch counts once. Each commit carries an application transaction (app id = queue partition, version = last
//!   offset); rows at or below the table's version are skipped, so a replayed lease adds nothing, whatever its bounds.
//! - What is committed is on disk or in the bucket. On disk, data files, log entries and checkpoints are on the device before they have a name, and
//!   their folders are synced before a commit is answered (`store`). Log entries are deleted only below the older of two
//!   checkpoints that can be read.
//! - Damage is never taken silently: an opening refuses a log that is torn, maintenance and queries report data files
//!   that are missing or can't be read (`log`, `check`). `repair` mends and deletes nothing.
//! - Retention that would take more than half of the posts and of the days at once takes nothing (`expiry`).
//! - A lake of a later format, or a table with a column that this program doesn't know, is left alone (`format`).
//! - Rows survive maintenance: a file is replaced only by a commit that finds every file it replaces still alive. The
//!   Delta library's own check for conflicts doesn't see two compactions of one file, nor a deletion beside a
//!   compaction, so commits here never use it (see `table`).
//!
//! Statistics are kept per file for the columns that queries filter by (`post_id`, the event time), so a range of
//! `occurred_at` skips files, and with them partitions, without naming `event_date`.
//!
//! Any number of processes read (`Lake::open_read_only`). Several writers are safe: the slower one looks again after a
//! random pause, and a batch whose predecessor is missing is refused.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod analytics;
mod bucket;
mod bucket_config;
mod bucket_store;
mod cache;
mod check;
mod commit;
mod commit_log;
mod compaction;
mod config;
mod counts;
mod disk;
mod documents;
mod engine;
mod error;
mod expiry;
mod files;
mod format;
mod lake;
mod location;
mod log;
mod query;
mod repair;
mod replace;
mod rows;
mod schema;
mod standing;
mod statement;
mod storage;
mod store;
mod stream;
mod table;
mod values;
mod worker;

pub use analytics::StoredAuthor;
pub use bucket_config::BucketConfig;
pub use check::{Checked, Damage, Mend, check};
pub use compaction::Maintained;
pub use config::Config;
pub use documents::BucketDocuments;
pub use error::{Error, Result};
pub use lake::Lake;
pub use location::Location;
pub use repair::{Repaired, repair};
pub use schema::TableName;
pub use standing::{Contents, File, Snapshot};
pub use stream::BatchStream;
pub use worker::{SqlWorkers, WorkerConfig, run_sql_worker};
