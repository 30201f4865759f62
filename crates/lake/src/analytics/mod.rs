//! Typed questions to the lake and how they are answered: in SQL that is written here and nowhere else.

mod columns;
mod evidence;
mod rules;
mod sql;
mod watch;

use crate::lake::Lake;
use crate::statement::{Batch, read_only, too_slow};
use columns::Columns;
use domain::{Error, Result};
use std::time::Duration;

impl Lake {
    /// Runs a statement of this program and hands its rows to `take`, batch by batch.
    async fn each_batch(
        &self,
        sql: &str,
        timeout: Duration,
        mut take: impl FnMut(&Columns) -> Result<()> + Send,
    ) -> Result<()> {
        let reading = read_only(sql)?;
        let read = async {
            let mut running = self.start(reading).await?;
            while let Some(batch) = running.next().await? {
                let Batch { columns, rows, .. } = batch;
                take(&Columns { columns, rows })?;
            }
            Ok(())
        };
        let read = tokio::time::timeout(timeout, Box::pin(read)).await.unwrap_or_else(|_| Err(too_slow(timeout)));
        read.map_err(|error| self.engine.root.hide_in(error))
    }

    /// The first row of an answer, as `read` takes it.
    async fn first_row<T: Send>(
        &self,
        sql: &str,
        timeout: Duration,
        read: impl Fn(&Columns) -> Option<T> + Send + Sync,
    ) -> Result<Option<T>> {
        let mut first = None;
        self.each_batch(sql, timeout, |rows| {
            if first.is_none() && rows.rows > 0 {
                first = read(rows);
            }
            Ok(())
        })
        .await?;
        Ok(first)
    }
}

/// Memory that an answer may still take.
struct Budget(usize);

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or_else(|| Error::reject("the answer is larger than an answer may be; ask for less"))?;
        Ok(())
    }
}
