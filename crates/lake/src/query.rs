//! Read-only SQL over the tables and the view `posts`: one statement, checked twice (by its kind before it is planned,
//! by its plan after), with a limit on time, rows, bytes and memory. Relies on DataFusion to give way between batches,
//! so that a query whose time is over stops when it is dropped. Statements of people run in `worker`, where they can be
//! ended at any moment.

use crate::error::Error;
use crate::lake::Lake;
use crate::statement::{Reading, Running, read_only, too_slow};
use crate::values;
use chrono::NaiveDate;
use domain::{QueryLimits, Result, Rows};
use std::sync::Arc;

impl Lake {
    /// Answers a read-only statement over the tables `raw`, `sentiment`, `entities`, `key_phrases`, `anomalies`, `alerts`
    /// and the view `posts`. A statement that writes is refused with kind `Reject`.
    pub async fn query(&self, sql: &str, limits: QueryLimits) -> Result<Rows> {
        let reading = read_only(sql)?;
        match tokio::time::timeout(limits.timeout, Box::pin(self.answer(reading, limits.rows_max))).await {
            Ok(answer) => answer.map_err(|error| self.engine.root.hide_in(error)),
            Err(_) => Err(too_slow(limits.timeout)),
        }
    }

    async fn answer(&self, reading: Reading, rows_max: usize) -> Result<Rows> {
        let mut running = self.start(reading).await?;
        let mut rows = Rows { columns: running.columns.clone(), ..Rows::default() };
        let mut bytes_left = self.config.answer_bytes_max;
        while let Some(batch) = running.next().await? {
            for row in 0..batch.rows {
                if rows.rows.len() == rows_max {
                    rows.truncated = true;
                    return Ok(rows);
                }
                let values = batch.row(row);
                let bytes = values.iter().map(values::bytes).sum::<usize>();
                if bytes > bytes_left {
                    rows.truncated = true;
                    return Ok(rows);
                }
                bytes_left -= bytes;
                rows.rows.push(values);
            }
        }
        Ok(rows)
    }

    /// Plans the statement over the tables of now and starts it.
    pub(crate) async fn start(&self, reading: Reading) -> Result<Running> {
        self.refresh_when_due().await?;
        Running::start(&self.engine.context(&self.tables).await?, reading, &self.engine.root, &self.damage).await
    }

    pub(crate) async fn refresh_when_due(&self) -> Result<(), Error> {
        // A look at a folder costs nothing; one at a bucket is a dozen requests.
        let always = self.is_read_only() && !self.root.is_bucket();
        self.engine.refresh_when_due(&self.tables, always).await
    }

    /// Posts held in memory for counting, and the bytes that they take.
    pub fn counts_size(&self) -> (usize, usize) {
        self.counts.size()
    }

    /// Begins to read what counting needs, so that the first question finds it.
    pub fn warm_up(&self) {
        Arc::clone(&self.counts).begin();
    }

    /// The first day whose posts are held in memory for counting; none while they are being read, or when none are to be.
    pub fn held_since(&self) -> Option<NaiveDate> {
        self.counts.since()
    }
}
