//! Questions to the lake: a limit on how many run at once, a cache of answers keyed by statement and version of the
//! lake, and rows read by column name. Two people who ask the same at the same time cause one question.

use crate::error::Error;
use crate::filter::Filter;
use crate::query;
use chrono::{DateTime, Duration};
use domain::{Analytics, QueryLimits, Question, Rows, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OnceCell, Semaphore};

/// Answers kept; a dashboard asks about fifteen questions, so this is some dozens of views.
const ANSWERS_MAX: usize = 512;

type Slot = Arc<OnceCell<Arc<Rows>>>;

struct Kept {
    version: u64,
    asked_at: Timestamp,
    slot: Slot,
}

/// The lake, asked sparingly.
pub(crate) struct Answers {
    analytics: Arc<dyn Analytics>,
    kept: Mutex<HashMap<String, Kept>>,
    at_once: Semaphore,
    age_max: Duration,
}

impl Answers {
    pub(crate) fn new(analytics: Arc<dyn Analytics>, at_once: usize, age_max: std::time::Duration) -> Self {
        Self {
            analytics,
            kept: Mutex::new(HashMap::new()),
            at_once: Semaphore::new(at_once.max(1)),
            age_max: Duration::from_std(age_max).unwrap_or(Duration::zero()),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.analytics.version()
    }

    /// Asks, or gives the answer that is still good.
    pub(crate) async fn ask(&self, sql: String, rows_max: usize, now: Timestamp) -> Result<Arc<Rows>, Error> {
        let slot = self.slot(&sql, now);
        let answer = slot
            .get_or_try_init(|| async {
                let limits = QueryLimits { rows_max, ..QueryLimits::default() };
                self.ask_fresh(&sql, limits).await.map(Arc::new)
            })
            .await
            .map_err(Error::of_port)?;
        Ok(Arc::clone(answer))
    }

    /// Counts, or gives the answer that is still good. `sql` says the same as the question, for what can't be counted
    /// without.
    pub(crate) async fn count(
        &self,
        filter: &Filter,
        question: Question,
        sql: String,
        rows_max: usize,
        now: Timestamp,
    ) -> Result<Arc<Rows>, Error> {
        let slot = self.slot(&sql, now);
        let answer = slot
            .get_or_try_init(|| async {
                if let Some(rows) = self.count_held(filter, question).await? {
                    return Ok(Arc::new(rows));
                }
                let limits = QueryLimits { rows_max, ..QueryLimits::default() };
                self.ask_fresh(&sql, limits).await.map(Arc::new)
            })
            .await
            .map_err(Error::of_port)?;
        Ok(Arc::clone(answer))
    }

    /// Counts what can be counted without SQL.
    pub(crate) async fn count_held(&self, filter: &Filter, question: Question) -> domain::Result<Option<Rows>> {
        let Some(selection) = query::selection(filter) else { return Ok(None) };
        let _permit = self.at_once.acquire().await.map_err(|_| domain::Error::retry("the server is stopping"))?;
        self.analytics.count(&selection, question).await
    }

    /// Asks without the cache: for a person's own SQL and for exports.
    pub(crate) async fn ask_fresh(&self, sql: &str, limits: QueryLimits) -> domain::Result<Rows> {
        let _permit = self.at_once.acquire().await.map_err(|_| domain::Error::retry("the server is stopping"))?;
        self.analytics.query(sql, limits).await
    }

    fn slot(&self, sql: &str, now: Timestamp) -> Slot {
        let version = self.analytics.version();
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let good = |entry: &Kept| entry.version == version || now - entry.asked_at < self.age_max;
        if let Some(entry) = kept.get(sql).filter(|entry| good(entry)) {
            return Arc::clone(&entry.slot);
        }
        if kept.len() >= ANSWERS_MAX {
            kept.retain(|_, entry| good(entry));
        }
        if kept.len() >= ANSWERS_MAX {
            kept.clear();
        }
        let slot = Slot::default();
        kept.insert(sql.to_owned(), Kept { version, asked_at: now, slot: Arc::clone(&slot) });
        slot
    }
}

/// One row, read by column name. Absent and null are the same.
pub(crate) struct Row<'a> {
    columns: &'a [domain::Column],
    values: &'a [Value],
}

/// The rows of an answer.
pub(crate) fn each(rows: &Rows) -> impl Iterator<Item = Row<'_>> {
    rows.rows.iter().map(|values| Row { columns: &rows.columns, values })
}

impl<'a> Row<'a> {
    fn value(&self, name: &str) -> &'a Value {
        let at = self.columns.iter().position(|column| column.name == name);
        at.and_then(|at| self.values.get(at)).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name).as_str().map(str::to_owned)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.value(name).as_f64()
    }

    pub(crate) fn whole(&self, name: &str) -> Option<i64> {
        let value = self.value(name);
        value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
    }

    /// A count: nothing is zero.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.whole(name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or(false)
    }

    /// A time that was selected as microseconds since 1970 (see [`micros`]).
    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        self.whole(&format!("{name}_us")).and_then(DateTime::from_timestamp_micros)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.value(name).as_array().map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// JSON kept as text in a column.
    pub(crate) fn json<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> T {
        self.value(name).as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// Selects a time as microseconds (`occurred_at` as `occurred_at_us`), so that no form of writing times matters.
pub(crate) fn micros(column: &str) -> String {
    format!("CAST({column} AS BIGINT) AS {column}_us")
}
