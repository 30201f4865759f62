//! Answers of any length, some rows at a time: for exports, which must not be held in memory and must not be cut.

use crate::lake::Lake;
use crate::statement::{Running, read_only};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use domain::{Result, Rows};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use std::pin::Pin;
use std::sync::Arc;

/// Rows of one answer, in pieces. An error ends it: what came before is then not the whole answer.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<Rows>> + Send>>;

/// Rows of a piece: with the longest texts that are taken (64 kB, and their English) it stays below 64 MB.
const ROWS: usize = 512;

impl Lake {
    /// Answers read-only statements one after the other, all on the same version of the lake. Nothing runs ahead of the
    /// reader but the statement that he has come to.
    pub async fn stream(&self, statements: Vec<String>) -> Result<RowStream> {
        self.refresh_when_due().await?;
        let context = with_small_batches(&self.engine.context(&self.tables).await?);
        let (root, damage) = (self.engine.root.clone(), Arc::clone(&self.damage));
        let hidden = root.clone();
        let answers = stream::iter(statements).then(move |sql| {
            let (context, root, damage) = (context.clone(), root.clone(), Arc::clone(&damage));
            async move { Running::start(&context, read_only(&sql)?, &root, &damage).await }
        });
        let rows = answers.map_ok(pieces).try_flatten();
        Ok(Box::pin(rows.map_err(move |error| hidden.hide_in(error))))
    }
}

fn pieces(running: Running) -> impl Stream<Item = Result<Rows>> + Send {
    stream::try_unfold(running, |mut running| async move {
        let Some(batch) = running.next().await? else { return Ok(None) };
        let rows = (0..batch.rows).map(|row| batch.row(row)).collect();
        Ok(Some((Rows { columns: running.columns.clone(), rows, truncated: false }, running)))
    })
}

fn with_small_batches(context: &SessionContext) -> SessionContext {
    let state = context.state();
    // The catalog with the tables is there already; a new one would be empty.
    let config = state.config().clone().with_batch_size(ROWS).with_create_default_catalog_and_schema(false);
    SessionContext::new_with_state(SessionStateBuilder::new_from_existing(state).with_config(config).build())
}
