//! Looks at the queue's file without changing it.

use crate::error::{Doing, Result};
use crate::partitions;
use crate::schema;
use rusqlite::Connection;
use std::path::Path;

/// What a check of the queue's file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Application id of its transactions in the lake; none when it can't be read.
    pub identity: Option<String>,
    /// What SQLite says is wrong.
    pub faults: Vec<String>,
    /// The last offset that was given to a record of the first partition.
    pub last_offset: u64,
    /// The first offset of it that still waits.
    pub first_waiting: Option<u64>,
}

/// Reads the whole file and says what is wrong with it; may run beside the program.
pub fn check(path: &Path) -> Result<Checked> {
    let connection = schema::open_reader(path)?;
    match read(&connection) {
        Ok(checked) => Ok(checked),
        // What can't be asked at all is the fault.
        Err(error) => Ok(Checked { faults: vec![error.to_string()], ..Checked::default() }),
    }
}

fn read(connection: &Connection) -> Result<Checked> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)").doing("check the queue's file")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).doing("check the queue's file")?;
    let mut faults = rows.collect::<rusqlite::Result<Vec<_>>>().doing("check the queue's file")?;
    faults.retain(|fault| fault != "ok");
    let last_offset = connection.query_row("SELECT last_offset FROM progress", [], |row| row.get(0));
    let first_waiting =
        connection.query_row("SELECT min(offset) FROM records WHERE offset < ?", [partitions::range(0).end], |row| {
            row.get(0)
        });
    // Files of earlier formats have no identity yet.
    let identity = schema::identity(connection).ok();
    Ok(Checked {
        identity,
        faults,
        last_offset: last_offset.doing("read the last offset")?,
        first_waiting: first_waiting.doing("read the first offset")?,
    })
}
