//! The query engine: memory and disk that all queries share, and the tables of the lake under their names.

use crate::config::Config;
use crate::error::Error;
use crate::location::Location;
use crate::schema::{POSTS_VIEW, TableName, VIEW};
use crate::table::Table;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The query engine: its memory, and the context of the newest version.
pub(crate) struct Engine {
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    refresh: Duration,
    /// Tables as of a version; made anew when the lake has moved on.
    context: Mutex<Option<(u64, SessionContext)>>,
    refreshed_at: Mutex<Option<Instant>>,
    pub(crate) root: Root,
}

/// The lake's place as plans and errors write it. Who asks has no business with it.
#[derive(Clone)]
pub(crate) struct Root(Arc<[String]>);

impl Root {
    fn of(root: &Location) -> Self {
        Self(root.traces().into_iter().filter(|trace| !trace.is_empty()).collect())
    }

    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, path| text.replace(path.as_str(), "lake"))
    }

    pub(crate) fn hide_in(&self, error: domain::Error) -> domain::Error {
        let words = error.to_string();
        let hidden = self.hide(&words);
        if hidden == words { error } else { domain::Error::caused(error.kind(), hidden, error) }
    }
}

impl Engine {
    pub(crate) fn new(root: &Location, config: &Config) -> Result<Self, Error> {
        let failed = |error| Error::Engine(Box::new(error));
        let spill = config.spill_folder.clone().unwrap_or_else(|| root.scratch());
        std::fs::create_dir_all(&spill).map_err(Error::disk("create folder", &spill))?;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.query_memory_bytes)))
            .with_temp_file_path(spill)
            .with_max_temp_directory_size(config.query_spill_bytes)
            .build_arc()
            .map_err(failed)?;
        let session = SessionConfig::new()
            .with_information_schema(true)
            .with_default_catalog_and_schema("overheard", "lake")
            .set_bool("datafusion.execution.parquet.pushdown_filters", true)
            .set_bool("datafusion.execution.parquet.reorder_filters", true);
        Ok(Self {
            config: session,
            runtime,
            refresh: config.refresh,
            context: Mutex::new(None),
            refreshed_at: Mutex::new(None),
            root: Root::of(root),
        })
    }

    /// Takes in other processes' commits: a reader always, the writer (who knows his own) now and then.
    pub(crate) async fn refresh_when_due(&self, tables: &[Table; 6], always: bool) -> Result<(), Error> {
        let due = {
            let mut at = self.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
            let due = always || at.is_none_or(|at| at.elapsed() >= self.refresh);
            if due {
                *at = Some(Instant::now());
            }
            due
        };
        if due {
            futures::future::try_join_all(tables.iter().map(Table::refresh)).await?;
        }
        Ok(())
    }

    /// The tables of now, under their names.
    pub(crate) async fn context(&self, tables: &[Table; 6]) -> Result<SessionContext, Error> {
        let failed = |error| Error::Engine(Box::new(error));
        let version = version_of(tables);
        if let Some((of, context)) = &*self.context.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == version
        {
            return Ok(context.clone());
        }
        let state = SessionStateBuilder::new()
            .with_config(self.config.clone())
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        for name in TableName::ALL {
            let table = tables[name as usize].snapshot();
            let provider = table.table_provider().await.map_err(failed)?;
            context.register_table(name.as_str(), provider).map_err(failed)?;
        }
        let view = context.sql(POSTS_VIEW).await.map_err(failed)?.into_view();
        context.register_table(VIEW, view).map_err(failed)?;
        let cached = (version, context.clone());
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached);
        Ok(context)
    }
}

/// Grows with every commit to any of the tables.
pub(crate) fn version_of(tables: &[Table; 6]) -> u64 {
    tables.iter().map(Table::version).sum()
}
