//! Read-only SQL over the tables and the view `posts`: one statement, checked twice (by its kind before it is planned,
//! by its plan after), with a limit on time, rows, bytes and memory. Relies on DataFusion to give way between batches,
//! so that a query whose time is over stops when it is dropped. Statements of people run in `worker`, where they can be
//! ended at any moment.

use crate::error::Error;
use crate::lake::{Config, DamageReport, Lake};
use crate::schema::{POSTS_VIEW, TableName};
use crate::values;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use async_trait::async_trait;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use domain::{Analytics, Column, QueryLimits, Question, Result, Rows, Selection};
use futures::StreamExt as _;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The view's name.
const VIEW: &str = "posts";

/// The query engine: its memory, and the context of the newest version.
pub(crate) struct Engine {
    config: SessionConfig,
    runtime: Arc<RuntimeEnv>,
    answer_bytes_max: usize,
    refresh: Duration,
    /// Tables as of a version; made anew when the lake has moved on.
    context: Mutex<Option<(u64, SessionContext)>>,
    refreshed_at: Mutex<Option<Instant>>,
    pub(crate) root: Root,
}

/// The lake's folder as plans and errors write it. Who asks has no business with it.
#[derive(Clone)]
pub(crate) struct Root(Arc<[String]>);

impl Root {
    fn of(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let path = root.to_string_lossy().into_owned();
        // Object stores name files without the first slash.
        let store = path.trim_start_matches('/').to_owned();
        Self([path, store].into_iter().filter(|path| !path.is_empty()).collect())
    }

    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, path| text.replace(path.as_str(), "lake"))
    }

    pub(crate) fn hide_in(&self, error: domain::Error) -> domain::Error {
        let words = error.to_string();
        let hidden = self.hide(&words);
        if hidden == words { error } else { domain::Error::caused(error.kind(), hidden, error) }
    }
}

impl Engine {
    pub(crate) fn new(root: &Path, config: &Config) -> Result<Self, Error> {
        let failed = |error| Error::Engine(Box::new(error));
        let spill = config.spill_folder.clone().unwrap_or_else(|| root.join(".spill"));
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
            answer_bytes_max: config.answer_bytes_max,
            refresh: config.refresh,
            context: Mutex::new(None),
            refreshed_at: Mutex::new(None),
            root: Root::of(root),
        })
    }
}

#[async_trait]
impl Analytics for Lake {
    async fn query(&self, sql: &str, limits: QueryLimits) -> Result<Rows> {
        let reading = read_only(sql)?;
        match tokio::time::timeout(limits.timeout, Box::pin(self.answer(reading, limits.rows_max))).await {
            Ok(answer) => answer.map_err(|error| self.engine.root.hide_in(error)),
            Err(_) => Err(too_slow(limits.timeout)),
        }
    }

    async fn count(&self, selection: &Selection, question: Question) -> Result<Option<Rows>> {
        Ok(self.count_held(selection, question).await?)
    }

    fn version(&self) -> u64 {
        self.tables.iter().map(crate::table::Table::version).sum()
    }
}

impl Lake {
    async fn answer(&self, reading: Reading, rows_max: usize) -> Result<Rows> {
        let mut running = self.start(reading).await?;
        let mut rows = Rows { columns: running.columns.clone(), ..Rows::default() };
        let mut bytes_left = self.engine.answer_bytes_max;
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
        Running::start(&self.context().await?, reading, &self.engine.root, &self.damage).await
    }

    /// Takes in other processes' commits: a reader always, the writer (who knows his own) now and then.
    pub(crate) async fn refresh_when_due(&self) -> Result<(), Error> {
        let due = {
            let mut at = self.engine.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
            let due = self.is_read_only() || at.is_none_or(|at| at.elapsed() >= self.engine.refresh);
            if due {
                *at = Some(Instant::now());
            }
            due
        };
        if due {
            futures::future::try_join_all(self.tables.iter().map(crate::table::Table::refresh)).await?;
        }
        Ok(())
    }

    /// The tables of now, under their names.
    pub(crate) async fn context(&self) -> Result<SessionContext, Error> {
        let failed = |error| Error::Engine(Box::new(error));
        let version = Analytics::version(self);
        if let Some((of, context)) = &*self.engine.context.lock().unwrap_or_else(PoisonError::into_inner)
            && *of == version
        {
            return Ok(context.clone());
        }
        let state = SessionStateBuilder::new()
            .with_config(self.engine.config.clone())
            .with_runtime_env(Arc::clone(&self.engine.runtime))
            .with_default_features()
            .build();
        let context = SessionContext::new_with_state(state);
        for name in TableName::ALL {
            let table = self.table(name).snapshot();
            let provider = table.table_provider().await.map_err(failed)?;
            context.register_table(name.as_str(), provider).map_err(failed)?;
        }
        let view = context.sql(POSTS_VIEW).await.map_err(failed)?.into_view();
        context.register_table(VIEW, view).map_err(failed)?;
        let cached = (version, context.clone());
        *self.engine.context.lock().unwrap_or_else(PoisonError::into_inner) = Some(cached);
        Ok(context)
    }
}

/// A statement that is being answered.
pub(crate) struct Running {
    pub(crate) columns: Vec<Column>,
    stream: SendableRecordBatchStream,
    /// Plans and settings name files: their folder is taken out of the answer.
    hide: Option<Root>,
    damage: Arc<DamageReport>,
}

/// Some rows of an answer.
pub(crate) struct Batch {
    columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    hide: Option<Root>,
}

impl Running {
    pub(crate) async fn start(
        context: &SessionContext,
        reading: Reading,
        root: &Root,
        damage: &Arc<DamageReport>,
    ) -> Result<Self> {
        let hide = reading.names_files.then(|| root.clone());
        let state = context.state();
        let plan = state.statement_to_plan(reading.statement).await.map_err(|error| explain(&error))?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|error| explain(&error))?;
        let frame = context.execute_logical_plan(plan).await.map_err(|error| damage.explain(&error))?;
        let fields = frame.schema().fields().iter();
        let columns =
            fields.map(|field| Column { name: field.name().clone(), data_type: values::sql_name(field.data_type()) });
        let columns = columns.collect();
        let stream = frame.execute_stream().await.map_err(|error| damage.explain(&error))?;
        Ok(Self { columns, stream, hide, damage: Arc::clone(damage) })
    }

    /// The next rows; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>> {
        let Some(batch) = self.stream.next().await else { return Ok(None) };
        let batch: RecordBatch = batch.map_err(|error| self.damage.explain(&error))?;
        let columns = values::plain(&batch).map_err(|error| explain(&error.into()))?;
        Ok(Some(Batch { columns, rows: batch.num_rows(), hide: self.hide.clone() }))
    }
}

impl Batch {
    /// The values of one row.
    pub(crate) fn row(&self, row: usize) -> Vec<Value> {
        let values = self.columns.iter().map(|column| values::json(column, row));
        let Some(root) = &self.hide else { return values.collect() };
        let hidden = values.map(|value| match value {
            Value::String(text) => Value::String(root.hide(&text)),
            other => other,
        });
        hidden.collect()
    }
}

/// What is told when a statement's time is over.
pub(crate) fn too_slow(timeout: Duration) -> domain::Error {
    domain::Error::reject(format!(
        "the query took longer than {} s and was stopped; narrow the time range or ask for less",
        timeout.as_secs_f32()
    ))
}

/// A statement that only reads.
pub(crate) struct Reading {
    statement: Statement,
    /// The answer can tell where files lie: a plan, a setting.
    names_files: bool,
}

/// The one statement of the text, if it only reads.
pub(crate) fn read_only(sql: &str) -> Result<Reading> {
    let mut statements = DFParser::parse_sql(sql).map_err(|error| explain(&error))?;
    let statement = statements.pop_front().ok_or_else(|| domain::Error::reject("there is no SQL in the query"))?;
    if !statements.is_empty() {
        return Err(domain::Error::reject("one statement at a time: take out what follows the first `;`"));
    }
    if reads(&statement) {
        let selects = matches!(&statement, Statement::Statement(s) if matches!(s.as_ref(), ast::Statement::Query(_)));
        let names_files = !selects || sql.to_lowercase().contains("information_schema");
        return Ok(Reading { statement, names_files });
    }
    Err(domain::Error::reject(
        "the lake is read-only here: only SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE are answered",
    ))
}

fn reads(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explain) => reads(&explain.statement),
        Statement::Statement(statement) => match statement.as_ref() {
            ast::Statement::Explain { statement, .. } => matches!(statement.as_ref(), ast::Statement::Query(_)),
            ast::Statement::Query(_)
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. } => true,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a data file is missing or can't be decoded.
impl DamageReport {
    /// What went wrong while files were read; a damaged one is reported.
    fn explain(&self, error: &DataFusionError) -> domain::Error {
        if !tells_of_damage(error) {
            return explain(error);
        }
        let message = error.find_root().message().into_owned();
        self.report(&message);
        domain::Error::reject(format!(
            "a data file of the lake can't be read ({message}): run `overheard check`; other days can be queried"
        ))
    }
}

fn tells_of_damage(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) => true,
        DataFusionError::ArrowError(error, _) => {
            matches!(error.as_ref(), ArrowError::ParquetError(_))
        }
        _ => false,
    }
}

/// What went wrong, in words that help. A query is the asker's own, so its errors are his to mend: `Reject`.
fn explain(error: &DataFusionError) -> domain::Error {
    let root = error.find_root();
    let message = root.message().into_owned();
    let words = match root {
        DataFusionError::ResourcesExhausted(_) => {
            "the query needs more memory than queries may use; narrow the time range, or group by fewer values".into()
        }
        DataFusionError::SQL(parser, _) => format!("the SQL can't be read: {}", parser_words(&parser.to_string())),
        _ => match missing_table(&message) {
            Some(table) => no_such_table(&table),
            None => message,
        },
    };
    domain::Error::reject(words)
}

fn parser_words(message: &str) -> &str {
    message.strip_prefix("sql parser error: ").unwrap_or(message)
}

/// The table's own name in DataFusion's "table 'overheard.lake.postz' not found".
fn missing_table(message: &str) -> Option<String> {
    let name = message.strip_prefix("table '")?.split_once("' not found")?.0;
    Some(name.strip_prefix("overheard.lake.").unwrap_or(name).to_owned())
}

fn no_such_table(name: &str) -> String {
    let tables: Vec<&str> = [VIEW].into_iter().chain(TableName::ALL.map(TableName::as_str)).collect();
    let close = |table: &&str| normalized_levenshtein(table, &name.to_lowercase());
    let nearest = tables.iter().max_by(|a, b| close(a).total_cmp(&close(b))).filter(|table| close(table) >= 0.5);
    let hint = nearest.map(|table| format!(" Did you mean {table}?")).unwrap_or_default();
    format!("there is no table {name}.{hint} The tables are {}", tables.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_statements_pass() {
        for good in [
            "SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "DESCRIBE posts",
            "VALUES (1)",
            "SELECT 1;",
        ] {
            assert!(read_only(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "SELECT 1; SELECT 2",
            "DROP TABLE raw",
            "INSERT INTO raw VALUES (1)",
            "DELETE FROM raw",
            "UPDATE raw SET a = 1",
            "CREATE TABLE a AS SELECT 1",
            "CREATE EXTERNAL TABLE a STORED AS CSV LOCATION '/etc/passwd'",
            "COPY raw TO '/tmp/x'",
            "EXPLAIN COPY raw TO '/tmp/x'",
            "EXPLAIN INSERT INTO raw VALUES (1)",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "PREPARE a AS SELECT 1",
            "SELEC 1",
        ] {
            assert!(read_only(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_table_that_is_not_there_is_told_with_the_one_that_was_meant() {
        assert_eq!(missing_table("table 'overheard.lake.post' not found").as_deref(), Some("post"));
        assert!(no_such_table("post").contains("Did you mean posts?"));
        assert!(!no_such_table("xyzzy").contains("Did you mean"));
    }
}
