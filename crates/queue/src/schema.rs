//! The file: how it is made, opened and recognised.

use crate::error::{Doing, Error, Result};
use crate::partitions;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

/// Format of the tables, kept in `PRAGMA user_version`. A file of an earlier one is brought up to it when it is opened.
const FORMAT: i64 = 3;
/// The format of a file with several partitions ([`partitions`]): programs that know one only must leave it alone.
const FORMAT_PARTITIONED: i64 = 4;
/// "OVHD", so that another program's database isn't taken for ours.
const APPLICATION_ID: i64 = 0x4F56_4844;

const TABLES: &str = "
CREATE TABLE records(offset INTEGER PRIMARY KEY, appended_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE seen(post_key BLOB PRIMARY KEY, state INTEGER NOT NULL, event_day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE progress(
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_offset INTEGER NOT NULL, waiting INTEGER NOT NULL, waiting_bytes INTEGER NOT NULL,
    appended INTEGER NOT NULL, duplicates INTEGER NOT NULL);
INSERT INTO progress VALUES (1, 0, 0, 0, 0, 0);
CREATE TABLE dead_letters(id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE documents(
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
";

/// Format 2: a dead letter is kept once. Letters of format 1 have no key and stay as they are.
const FORMAT_2: &str = "
ALTER TABLE dead_letters ADD COLUMN letter_key BLOB;
CREATE UNIQUE INDEX dead_letters_by_key ON dead_letters(letter_key);
";

/// Format 3: the queue has an identity, which names its transactions in the lake; it knows how far it was acked; and dead
/// letters are counted, so that they can have a limit. A file of an earlier format keeps the name that its transactions
/// had. How far it was acked follows from acks being in order.
const FORMAT_3: &str = "
CREATE TABLE identity(id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL);
INSERT INTO identity VALUES (1, 'posts');
ALTER TABLE progress ADD COLUMN acked_offset INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN letters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE progress ADD COLUMN letter_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE progress SET
    acked_offset = coalesce((SELECT min(offset) FROM records) - 1, last_offset),
    letters = (SELECT count(*) FROM dead_letters),
    letter_bytes = (SELECT coalesce(sum(octet_length(body)), 0) FROM dead_letters);
";

/// Gives the queue a new identity.
pub(crate) const NEW_IDENTITY: &str = "UPDATE identity SET name = 'posts-' || lower(hex(randomblob(8)))";

/// Opens the file for writing; makes it, and its folder, when it isn't there. Only its owner may read it: it holds
/// sessions and tokens.
pub(crate) fn open_writer(path: &Path, partitions: u16) -> Result<Connection> {
    make_file(path)?;
    let mut connection = Connection::open(path).doing("open the queue")?;
    connection.busy_handler(Some(wait_for_the_lock)).doing("set how to wait for the lock")?;
    refuse_others(&connection, path)?;
    // WAL: readers never wait for the writer. FULL: a commit is on disk when it returns. The checkpoint comes every
    // 32 MiB of log rather than every 4, because records are written, acked and overwritten within that time.
    // secure_delete: what is deleted (a post that its platform deletes) is overwritten, not only unlinked.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8192;
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;
             PRAGMA secure_delete = ON;",
        )
        .doing("configure the queue's file")?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .doing("begin to make the queue's tables")?;
    let found = format(&transaction)?;
    if found == 0 {
        transaction.execute_batch(TABLES).doing("make the queue's tables")?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).doing("name the queue's file")?;
    }
    if found < 2 {
        transaction.execute_batch(FORMAT_2).doing("bring the queue's tables up to format 2")?;
    }
    if found < FORMAT {
        transaction.execute_batch(FORMAT_3).doing("bring the queue's tables up to format 3")?;
        transaction.pragma_update(None, "user_version", FORMAT).doing("write the queue's format")?;
    }
    if found == 0 {
        transaction.execute_batch(NEW_IDENTITY).doing("give the queue its identity")?;
    }
    if partitions::make(&transaction, partitions, path)? {
        transaction.pragma_update(None, "user_version", FORMAT_PARTITIONED).doing("write the queue's format")?;
    }
    transaction.commit().doing("make the queue's tables")?;
    Ok(connection)
}

/// Opens the file for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).doing("open the queue for reading")?;
    connection.busy_handler(Some(wait_for_the_lock)).doing("set how to wait for the lock")?;
    // Read-write at the level of the file (WAL wants it), read-only at the level of SQL.
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -8192;").doing("configure the reader")?;
    Ok(connection)
}

/// Tries again every millisecond for half a minute. SQLite's own handler soon sleeps 100 ms between tries and misses the
/// moments that a busy neighbour leaves (see `writer`).
fn wait_for_the_lock(tries: i32) -> bool {
    std::thread::sleep(Duration::from_millis(1));
    tries < 30_000
}

/// Makes the file, readable by its owner alone, when it isn't there.
pub(crate) fn make_file(path: &Path) -> Result<()> {
    let failed = |source| Error::Open { path: path.to_path_buf(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(failed)
}

fn format(connection: &Connection) -> Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).doing("read the queue's format")
}

/// Leaves a file alone that a later version or another program made.
fn refuse_others(connection: &Connection, path: &Path) -> Result<()> {
    let path = path.to_path_buf();
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).doing("read the queue's name")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .doing("look into the queue's file")?;
    match format(connection)? {
        _ if application != APPLICATION_ID && tables > 0 => Err(Error::Foreign { path }),
        found if found > FORMAT_PARTITIONED => Err(Error::NewerFormat { path, found, known: FORMAT_PARTITIONED }),
        _ => Ok(()),
    }
}

/// The identity of the queue in this file.
pub(crate) fn identity(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT name FROM identity", [], |row| row.get(0))
}
