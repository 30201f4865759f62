//! One statement: that it only reads, how it runs, and what is said when it fails.

use crate::engine::Root;
use crate::schema::{TableName, VIEW};
use crate::values;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use domain::{Clock, Column, ErrorKind, Health, Result};
use futures::StreamExt as _;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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
        let Some(batch) = self.next_batch().await? else { return Ok(None) };
        let columns = values::plain(&batch).map_err(|error| explain(&error.into()))?;
        Ok(Some(Batch { columns, rows: batch.num_rows(), hide: self.hide.clone() }))
    }

    /// The next rows as the engine gives them; none at the end.
    pub(crate) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.stream.next().await.transpose().map_err(|error| self.damage.explain(&error))
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

/// Where a query reports a data file that can't be read.
pub(crate) struct DamageReport {
    health: OnceLock<Arc<Health>>,
    clock: Arc<dyn Clock>,
}

impl DamageReport {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { health: OnceLock::new(), clock }
    }

    /// Says where to report; the first call counts.
    pub(crate) fn report_to(&self, health: Arc<Health>) {
        drop(self.health.set(health));
    }

    /// Stays until the next start: `overheard repair` needs a stop anyway.
    pub(crate) fn report(&self, what: &str) {
        if let Some(health) = self.health.get() {
            let reason = format!("a data file can't be read: {what}; run `overheard check`");
            health.failed("lake data", reason, self.clock.now());
        }
    }

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

/// What is told when a statement's time is over.
pub(crate) fn too_slow(timeout: Duration) -> domain::Error {
    let words = format!(
        "the query took longer than {} s and was stopped; narrow the time range or ask for less",
        timeout.as_secs_f32()
    );
    domain::Error::new(ErrorKind::TooCostly, words)
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
    if matches!(root, DataFusionError::ResourcesExhausted(_)) {
        let words = "the query needs more memory than queries may use; narrow the time range, or group by fewer values";
        return domain::Error::new(ErrorKind::TooCostly, words);
    }
    let words = match root {
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
