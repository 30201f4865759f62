//! Looks at the queue's file without changing it.

use crate::error::{Doing, Result};
use crate::{Standing, key, partitions, schema};
use rusqlite::Connection;
use std::path::Path;

/// What a check of the queue's file found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Application id of its transactions in the lake; none when it can't be read.
    pub identity: Option<String>,
    /// What SQLite says is wrong.
    pub faults: Vec<String>,
    /// How far each partition is; the lake has what lies before the first record that waits.
    pub standing: Vec<Standing>,
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
    // Files of earlier formats have no identity yet.
    let identity = schema::identity(connection).ok();
    let standing = match &identity {
        Some(identity) => standing(connection, identity).doing("read how far the partitions are")?,
        None => Vec::new(),
    };
    Ok(Checked { identity, faults, standing })
}

fn standing(connection: &Connection, identity: &str) -> rusqlite::Result<Vec<Standing>> {
    let names = partitions::names(identity, partitions::count(connection)?);
    let standing = names.into_iter().map(|partition| {
        let (last_offset, _) = partitions::ends(connection, partition.index())?;
        let keys = key::range(partition.index());
        let sql = "SELECT min(offset) FROM records WHERE offset > ? AND offset < ?";
        let first: Option<u64> = connection.query_row(sql, [keys.start, keys.end], |row| row.get(0))?;
        let acked_offset = first.map_or(last_offset, |first| first - keys.start - 1);
        Ok(Standing { partition, last_offset, acked_offset })
    });
    standing.collect()
}
