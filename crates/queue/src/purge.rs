//! Removes deleted content from the write-ahead log: `secure_delete` overwrites it in the database file, but the log keeps
//! the pages as they were until it is written over.

use crate::embedded::Embedded;
use domain::Result;

impl Embedded {
    /// Writes the log back into the file and cuts it to nothing. Waits for the writer and for readers that are at work.
    pub async fn truncate_log(&self) -> Result<()> {
        // A checkpoint is no change of data: a connection for reading may make it.
        let busy: i64 = self
            .read_documents(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)))
            .await?;
        if busy == 0 { Ok(()) } else { Err(domain::Error::retry("the queue's log is in use and could not be cut")) }
    }
}
