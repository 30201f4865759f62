//! Delta tables on the local disk and SQL over them.
//!
//! # What is promised
//!
//! - A batch is visible in a table whole or not at all: one Delta commit per table, in the fixed order `raw`,
//!   `sentiment`, `entities`, `key_phrases`.
//! - A batch counts once. Each commit carries an application transaction (app id = queue partition, version = last
//!   offset); rows at or below the table's version are skipped, so a replayed lease adds nothing, whatever its bounds.
//! - What is committed is on disk: every data file, log entry and folder is synced before a commit is answered.
//! - Rows survive maintenance: a file is replaced only by a commit that finds every file it replaces still alive. The
//!   Delta library's own check for conflicts doesn't see two compactions of one file, nor a deletion beside a
//!   compaction, so commits here never use it (see `table`).
//!
//! Statistics are kept per file for the columns that queries filter by (`post_id`, the event time), so a range of
//! `occurred_at` skips files, and with them partitions, without naming `event_date`.
//!
//! One process writes; any number read (`Lake::open_read_only`). Two writers are safe: the slower one looks again.

mod commit;
mod compaction;
mod counts;
mod error;
mod files;
mod lake;
mod log;
mod query;
mod replace;
mod rows;
mod schema;
mod standing;
mod store;
mod stream;
mod table;
mod values;
mod worker;

pub use compaction::Maintained;
pub use error::{Error, Result};
pub use lake::{Config, Lake};
pub use schema::TableName;
pub use standing::{Contents, File, Snapshot};
pub use stream::RowStream;
pub use worker::{SqlAnswer, SqlWorkers, WorkerConfig, run_sql_worker};
