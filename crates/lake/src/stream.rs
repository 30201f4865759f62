//! Answers of any length as a stream of Arrow record batches, all on one version of the lake.

use crate::engine::Root;
use crate::lake::Lake;
use crate::statement::{DamageReport, Running, read_only};
use arrow::array::RecordBatch;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use domain::Result;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use std::sync::Arc;

/// Rows of one or more answers, in pieces. An error ends the stream: what came before is then not the whole answer.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// Rows of a piece: with the longest texts that are accepted (64 kB, and their English) it stays below 64 MB.
const ROWS: usize = 512;

/// The lake at one version.
#[derive(Clone)]
pub(crate) struct View {
    context: SessionContext,
    root: Root,
    damage: Arc<DamageReport>,
}

impl Lake {
    /// Answers read-only statements one after the other, all on the same version of the lake, without a limit on rows or
    /// time. A statement starts when the reader has reached it.
    pub async fn sql(&self, statements: Vec<String>) -> Result<BatchStream> {
        Ok(self.view().await?.sql(statements))
    }

    pub(crate) async fn view(&self) -> Result<View> {
        self.refresh_when_due().await?;
        let context = with_small_batches(&self.engine.context(&self.tables).await?);
        Ok(View { context, root: self.engine.root.clone(), damage: Arc::clone(&self.damage) })
    }
}

impl View {
    /// See [`Lake::sql`].
    pub(crate) fn sql(self, statements: Vec<String>) -> BatchStream {
        let root = self.root.clone();
        let answers = stream::iter(statements).then(move |sql| {
            let view = self.clone();
            async move { Running::start(&view.context, read_only(&sql)?, &view.root, &view.damage).await }
        });
        let batches = answers.map_ok(batches).try_flatten();
        batches.map_err(move |error| root.hide_in(error)).boxed()
    }
}

fn batches(running: Running) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
    stream::try_unfold(
        running,
        |mut running| async move { Ok(running.next_batch().await?.map(|batch| (batch, running))) },
    )
}

fn with_small_batches(context: &SessionContext) -> SessionContext {
    let state = context.state();
    // The catalog with the tables is there already; a new one would be empty.
    let config = state.config().clone().with_batch_size(ROWS).with_create_default_catalog_and_schema(false);
    SessionContext::new_with_state(SessionStateBuilder::new_from_existing(state).with_config(config).build())
}
