//! The durable queue between listening and understanding, and the store of small documents, in one SQLite file.
//!
//! # What is promised
//!
//! - An append that was answered is on disk (`synchronous=FULL`), survives `kill -9`, and is lent until it is acked.
//! - A post id is taken once: `seen` is written in the append's own transaction, so a post is in `seen` exactly when it
//!   was durably appended. A deletion leaves a tombstone; an edit leaves tombstones of the versions it replaces.
//! - Offsets grow without gaps in the order of commits, are never used twice, and survive a restart.
//! - Disk is bounded: above [`Config::waiting_max`] records or [`Config::waiting_bytes_max`] an append answers `Retry`,
//!   above [`Config::dead_letters_max`] or [`Config::dead_letters_bytes_max`] so does a dead letter.
//! - A caller's mistake is his alone: each write has a savepoint of its own. Once SQLite reports that the file can't be
//!   trusted (an I/O error, damage) nothing more is written and [`Embedded::failed`] says why.
//!
//! # Partitions
//!
//! A queue has one partition unless [`Config::partitions`] says more. A post's partition is the hash of its root id, so
//! that an edit and a deletion come after their post. Each partition has offsets of its own.
//!
//! # Leases
//!
//! A lease is a range of offsets of one partition, held in memory, that nobody else is lent until it is acked, given back
//! or runs out. Its time is that of a clock that never steps, and can be extended while the batch is worked on.
//! Several may be out at once, so that one batch is understood while another is committed; acks are taken in any order.
//! Whoever commits to the lake commits a partition in order of offset, though: the lake skips rows at or below its
//! transaction version, so a batch committed before an earlier one would hide the earlier one's rows. One consumer that
//! finishes a lease before it commits the next is in order by itself, also when a lease runs out under it: the range is
//! lent again from its first offset, and the lake skips what it has.
//!
//! # Several processes
//!
//! Any number of processes may append (`up`, `import`, `--role listen`) and read. Only one lends: it holds an advisory
//! lock on `<file>.consumer`, which the kernel drops when the process dies, so there is no time-out to wait for.
//!
//! # Layout (format 3, `PRAGMA user_version`; 4 with several partitions)
//!
//! ```text
//! records(offset, appended_ms, body)     offset: the partition's index in the bits above 48, the offset below;
//!                                        body: one byte format, then the record as JSON
//! seen(post_key, state, event_day)       post_key: XXH3-128 of the id, big endian; state: 0 post, 1 deleted
//! progress(last_offset, waiting, waiting_bytes, appended, duplicates, acked_offset, letters, letter_bytes)   one row
//! partitions(n, last_offset, acked_offset)   partitions after the first, whose offsets are in progress   (format 4)
//! roots(post_key, n, event_day)          the partition of edited posts, where their id does not tell it   (format 4)
//! identity(name)                         one row: application id of the lake's transactions (see `identity`)
//! dead_letters(id, body, letter_key)     body: JSON; letter_key: XXH3-128 of source, reason and payload, unique
//! documents(kind, key, body)             body: JSON
//! ```

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod append;
mod check;
mod consumer;
mod documents;
mod embedded;
mod error;
mod identity;
mod key;
mod leases;
mod lending;
mod partitions;
mod progress;
mod purge;
mod record;
mod schema;
mod writer;

pub use check::{Checked, check};
pub use documents::{documents_in, replace_documents};
pub use embedded::{Config, Embedded};
pub use error::{Error, Result};
pub use identity::{Rebuilt, Standing};
pub use partitions::PARTITIONS_MAX;
