//! Questions to the lake: a limit on how many run at once, a cache of answers keyed by statement and version of the
//! lake and bounded in bytes, and rows read by column name. Two people who ask the same at the same time cause one
//! question.

use crate::config::Config;
use crate::error::Error;
use crate::filter::Filter;
use crate::query;
use chrono::{DateTime, Duration};
use domain::{Analytics, QueryLimits, Question, Rows, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OnceCell, Semaphore};

/// Answers kept, whatever their size; a dashboard asks about fifteen questions, so this is some dozens of views.
const ANSWERS_MAX: usize = 512;

type Slot = Arc<OnceCell<Arc<Rows>>>;

struct Kept {
    version: u64,
    asked_at: Timestamp,
    slot: Slot,
    /// Size of the answer, and of the question; the question's alone while it is being answered.
    bytes: usize,
}

/// What is kept, and how much it is.
#[derive(Default)]
struct Cache {
    entries: HashMap<String, Kept>,
    bytes: usize,
}

impl Cache {
    fn remove(&mut self, sql: &str) {
        if let Some(gone) = self.entries.remove(sql) {
            self.bytes -= gone.bytes;
        }
    }

    /// Counts an answer that has just come.
    fn count(&mut self, sql: &str, slot: &Slot, answer: &Rows) {
        let unknown = |entry: &&mut Kept| Arc::ptr_eq(&entry.slot, slot) && entry.bytes == sql.len();
        if let Some(entry) = self.entries.get_mut(sql).filter(unknown) {
            let bytes = size(answer);
            entry.bytes += bytes;
            self.bytes += bytes;
        }
    }

    /// Forgets the oldest until there is room.
    fn shrink(&mut self, entries_max: usize, bytes_max: usize) {
        while self.entries.len() > entries_max || self.bytes > bytes_max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.asked_at).map(|(sql, _)| sql.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
    }
}

/// The lake, asked sparingly.
pub(crate) struct Answers {
    analytics: Arc<dyn Analytics>,
    cache: Mutex<Cache>,
    at_once: Semaphore,
    age_max: Duration,
    bytes_max: usize,
}

impl Answers {
    pub(crate) fn new(analytics: Arc<dyn Analytics>, config: &Config) -> Self {
        Self {
            analytics,
            cache: Mutex::default(),
            at_once: Semaphore::new(config.questions_at_once.clamp(1, Semaphore::MAX_PERMITS)),
            age_max: Duration::from_std(config.answer_age_max).unwrap_or(Duration::zero()),
            bytes_max: config.answers_max_bytes,
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
        self.keep(&sql, &slot, answer);
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
        self.keep(&sql, &slot, answer);
        Ok(Arc::clone(answer))
    }

    /// Counts what can be counted without SQL.
    pub(crate) async fn count_held(&self, filter: &Filter, question: Question) -> domain::Result<Option<Rows>> {
        let Some(selection) = query::selection(filter) else { return Ok(None) };
        let _permit = self.at_once.acquire().await.map_err(|_| domain::Error::retry("the server is stopping"))?;
        self.analytics.count(&selection, question).await
    }

    async fn ask_fresh(&self, sql: &str, limits: QueryLimits) -> domain::Result<Rows> {
        let _permit = self.at_once.acquire().await.map_err(|_| domain::Error::retry("the server is stopping"))?;
        self.analytics.query(sql, limits).await
    }

    fn slot(&self, sql: &str, now: Timestamp) -> Slot {
        let version = self.analytics.version();
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let good = |entry: &&Kept| entry.version == version || now - entry.asked_at < self.age_max;
        if let Some(entry) = cache.entries.get(sql).filter(good) {
            return Arc::clone(&entry.slot);
        }
        cache.remove(sql);
        let (slot, bytes) = (Slot::default(), sql.len());
        cache.bytes += bytes;
        cache.entries.insert(sql.to_owned(), Kept { version, asked_at: now, slot: Arc::clone(&slot), bytes });
        cache.shrink(ANSWERS_MAX, self.bytes_max);
        slot
    }

    /// Counts an answer among those that are kept.
    fn keep(&self, sql: &str, slot: &Slot, answer: &Rows) {
        let mut cache = self.cache.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        cache.count(sql, slot, answer);
        cache.shrink(ANSWERS_MAX, self.bytes_max);
    }
}

/// About how much memory an answer takes.
fn size(rows: &Rows) -> usize {
    rows.rows.iter().flatten().map(value_size).sum()
}

fn value_size(value: &Value) -> usize {
    let own = std::mem::size_of::<Value>();
    own + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + value_size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Column;

    /// Answers every question with one text.
    struct OneText(usize);

    #[async_trait::async_trait]
    impl Analytics for OneText {
        async fn query(&self, _: &str, _: QueryLimits) -> domain::Result<Rows> {
            let columns = vec![Column { name: "text".into(), data_type: "TEXT".into() }];
            Ok(Rows { columns, rows: vec![vec!["x".repeat(self.0).into()]], truncated: false })
        }

        fn version(&self) -> u64 {
            1
        }
    }

    #[tokio::test]
    async fn answers_are_forgotten_before_they_fill_the_memory() {
        let config = Config { answers_max_bytes: 10_000, ..Config::default() };
        let answers = Answers::new(Arc::new(OneText(3_000)), &config);
        let ask =
            |number: i64| answers.ask(format!("SELECT {number}"), 1, DateTime::from_timestamp(number, 0).unwrap());
        for number in 0..100 {
            ask(number).await.unwrap();
            assert!(answers.cache.lock().unwrap().bytes <= 10_000);
        }
        let kept = answers.cache.lock().unwrap().entries.len();
        assert_eq!(kept, 3, "as many as there is room for");
        ask(99).await.unwrap();
        let bytes = answers.cache.lock().unwrap().bytes;
        let sizes: usize = answers.cache.lock().unwrap().entries.values().map(|entry| entry.bytes).sum();
        assert_eq!(bytes, sizes, "an answer that is asked for again is not counted again");
    }
}
