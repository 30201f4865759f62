//! The totals of the queue, and how far its first partition has come: one row.

use rusqlite::{Transaction, params};

/// The one row that says how far the queue has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The newest offset of the first partition.
    pub(crate) last_offset: u64,
    /// Records appended and not yet acked.
    pub(crate) waiting: u64,
    pub(crate) waiting_bytes: u64,
    pub(crate) appended: u64,
    pub(crate) duplicates: u64,
    /// The highest offset of the first partition that was acked.
    pub(crate) acked_offset: u64,
    /// Dead letters, and their bytes.
    pub(crate) letters: u64,
    pub(crate) letter_bytes: u64,
}

impl Progress {
    pub(crate) fn read(connection: &rusqlite::Connection) -> rusqlite::Result<Self> {
        let sql =
            "SELECT last_offset, waiting, waiting_bytes, appended, duplicates, acked_offset, letters, letter_bytes
                   FROM progress";
        connection.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                last_offset: row.get(0)?,
                waiting: row.get(1)?,
                waiting_bytes: row.get(2)?,
                appended: row.get(3)?,
                duplicates: row.get(4)?,
                acked_offset: row.get(5)?,
                letters: row.get(6)?,
                letter_bytes: row.get(7)?,
            })
        })
    }

    pub(crate) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "UPDATE progress SET last_offset = ?, waiting = ?, waiting_bytes = ?, appended = ?, duplicates = ?,
                   acked_offset = ?, letters = ?, letter_bytes = ?";
        transaction.prepare_cached(sql)?.execute(params![
            self.last_offset,
            self.waiting,
            self.waiting_bytes,
            self.appended,
            self.duplicates,
            self.acked_offset,
            self.letters,
            self.letter_bytes
        ])?;
        Ok(())
    }
}
