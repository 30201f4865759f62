//! The typed questions of the dashboard (`domain::analytics`), of the watch and of alert rules (`domain::history`). They are
//! answered from memory (`crate::counts`) where it holds what they need, and otherwise by SQL, which is written here and
//! nowhere else.

mod cells;
mod counts;
mod evidence;
mod export;
mod incidents;
mod posts;
mod raw;
mod rules;
mod sql;
mod stored;
mod texts;
mod watch;

pub use texts::StoredAuthor;

use crate::counts::Asked;
use crate::engine::version_of;
use crate::lake::Lake;
use crate::schema::{TableName, VIEW};
use crate::statement::{read_only, too_slow};
use crate::values;
use arrow::array::RecordBatch;
use async_trait::async_trait;
use cells::Cells;
use domain::analytics::{
    AlertsQuery, Analytics, AnomaliesQuery, BreakdownItem, BreakdownQuery, ComparedTotals, CountriesQuery,
    CountryCount, PlaceCount, PlacesQuery, PostDetail, PostQuery, PostStream, PostText, PostsPage, PostsQuery,
    RecentTextsQuery, SeriesPoint, SeriesQuery, TableColumns, TopicVolume, TopicVolumesQuery, TotalsQuery,
};
use domain::{Alert, Anomaly, Column, Error, ErrorKind, QueryLimits, Result, Selection, TimeRange, Timestamp};
use std::time::Duration;

/// Most rows of an answer: a series of 3,000 intervals with some dozens of values.
const ROWS_MAX: usize = 200_000;

#[async_trait]
impl Analytics for Lake {
    async fn totals(&self, query: &TotalsQuery) -> Result<ComparedTotals> {
        let since = query.since;
        match self.held(&query.selection, move |asked| Some(asked.totals(since))).await? {
            Some(totals) => Ok(totals),
            None => counts::totals(&self.batches(&counts::totals_sql(query)).await?),
        }
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<SeriesPoint>> {
        query.check()?;
        let SeriesQuery { by, origin, step_s, .. } = *query;
        match self.held(&query.selection, move |asked| asked.series(by, origin, step_s)).await? {
            Some(points) => Ok(points),
            None => counts::series(&self.batches(&counts::series_sql(query)).await?),
        }
    }

    async fn breakdown(&self, query: &BreakdownQuery) -> Result<Vec<BreakdownItem>> {
        let BreakdownQuery { by, limit, .. } = *query;
        match self.held(&query.selection, move |asked| Some(asked.breakdown(by, limit))).await? {
            Some(items) => Ok(items),
            None => counts::breakdown(&self.batches(&counts::breakdown_sql(query)).await?),
        }
    }

    async fn countries(&self, query: &CountriesQuery) -> Result<Vec<CountryCount>> {
        match self.held(&query.selection, |asked| Some(asked.countries())).await? {
            Some(countries) => Ok(countries),
            None => counts::countries(&self.batches(&counts::countries_sql(query)).await?),
        }
    }

    async fn places(&self, query: &PlacesQuery) -> Result<Vec<PlaceCount>> {
        let limit = query.limit;
        match self.held(&query.selection, move |asked| Some(asked.places(limit))).await? {
            Some(places) => Ok(places),
            None => counts::places(&self.batches(&counts::places_sql(query)).await?),
        }
    }

    async fn topic_volumes(&self, query: &TopicVolumesQuery) -> Result<Vec<TopicVolume>> {
        counts::topic_volumes(&self.batches(&counts::topic_volumes_sql(query)).await?)
    }

    async fn newest_at(&self) -> Result<Option<Timestamp>> {
        let every_post = Selection::all(TimeRange { from: Timestamp::MIN_UTC, to: Timestamp::MAX_UTC });
        if let Some(newest) = self.nth_newest_held(&every_post, 1).await? {
            return Ok(newest);
        }
        let batches = self.batches("SELECT max(occurred_at) AS newest FROM sentiment").await?;
        match batches.first().filter(|batch| batch.num_rows() > 0) {
            Some(batch) => Ok(Cells::of(batch)?.time(0, 0)),
            None => Ok(None),
        }
    }

    async fn posts(&self, query: &PostsQuery) -> Result<PostsPage> {
        posts::page(self, query).await
    }

    async fn post(&self, query: &PostQuery) -> Result<Option<PostDetail>> {
        posts::detail(self, query).await
    }

    async fn recent_texts(&self, query: &RecentTextsQuery) -> Result<Vec<PostText>> {
        let (mut texts, mut bytes) = (Vec::new(), 0);
        self.each_record_batch(&posts::recent_texts_sql(query), QueryLimits::default().timeout, |batch| {
            texts.extend(posts::recent_texts(&batch)?.take_while(|post: &PostText| {
                bytes += post.text.len();
                bytes <= self.config.answer_bytes_max
            }));
            Ok(())
        })
        .await?;
        Ok(texts)
    }

    async fn anomalies(&self, query: &AnomaliesQuery) -> Result<Vec<Anomaly>> {
        incidents::anomalies(self, query).await
    }

    async fn alerts(&self, query: &AlertsQuery) -> Result<Vec<Alert>> {
        incidents::alerts(self, query).await
    }

    async fn export(&self, selection: &Selection) -> Result<PostStream> {
        export::posts(self, selection).await
    }

    async fn tables(&self) -> Result<Vec<TableColumns>> {
        let context = self.engine.context(&self.tables).await?;
        let mut tables = Vec::new();
        let [raw, others @ ..] = TableName::ALL;
        for name in [VIEW].into_iter().chain(others.map(TableName::as_str)).chain([raw.as_str()]) {
            let table = context.table_provider(name).await.map_err(|error| crate::Error::Engine(Box::new(error)))?;
            let schema = table.schema();
            let columns = schema
                .fields()
                .iter()
                .map(|field| Column { name: field.name().clone(), data_type: values::sql_name(field.data_type()) });
            tables.push(TableColumns { name: name.to_owned(), columns: columns.collect() });
        }
        Ok(tables)
    }

    fn version(&self) -> u64 {
        version_of(&self.tables)
    }
}

impl Lake {
    /// Answers from memory; none where a text is searched, or where memory lacks a post of the range.
    async fn held<T: Send + 'static>(
        &self,
        selection: &Selection,
        answer: impl FnOnce(&Asked<'_>) -> Option<T> + Send + 'static,
    ) -> Result<Option<T>> {
        self.ask_held(selection, |asked| if asked.is_whole { answer(asked) } else { None }).await
    }

    async fn ask_held<T: Send + 'static>(
        &self,
        selection: &Selection,
        answer: impl FnOnce(&Asked<'_>) -> Option<T> + Send + 'static,
    ) -> Result<Option<T>> {
        self.refresh_when_due().await?;
        Ok(self.counts.ask(selection, answer).await?)
    }

    /// When the n-th newest of the selected posts was published, `Some(None)` where there are none; the oldest where
    /// there are fewer. None: memory can't tell.
    async fn nth_newest_held(&self, selection: &Selection, nth: usize) -> Result<Option<Option<Timestamp>>> {
        self.ask_held(selection, move |asked| asked.nth_newest(nth)).await
    }

    /// The rows of one of our own statements, at most [`ROWS_MAX`].
    async fn batches(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let (mut batches, mut rows) = (Vec::new(), 0);
        self.each_record_batch(sql, QueryLimits::default().timeout, |batch| {
            rows += batch.num_rows();
            batches.push(batch);
            match rows > ROWS_MAX {
                true => Err(too_costly(&format!("the answer has more than {ROWS_MAX} rows; narrow the time range"))),
                false => Ok(()),
            }
        })
        .await?;
        Ok(batches)
    }

    /// Runs one of our own statements and hands its rows to `take`, some at a time.
    async fn each_batch(
        &self,
        sql: &str,
        timeout: Duration,
        mut take: impl FnMut(&Cells) -> Result<()> + Send,
    ) -> Result<()> {
        self.each_record_batch(sql, timeout, |batch| take(&Cells::of(&batch)?)).await
    }

    /// The first row of an answer, as `read` takes it.
    async fn first_row<T: Send>(
        &self,
        sql: &str,
        timeout: Duration,
        read: impl Fn(&Cells) -> Option<T> + Send + Sync,
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

    async fn each_record_batch(
        &self,
        sql: &str,
        timeout: Duration,
        mut take: impl FnMut(RecordBatch) -> Result<()> + Send,
    ) -> Result<()> {
        let reading = read_only(sql)?;
        let read = async {
            let mut running = self.start(reading).await?;
            while let Some(batch) = running.next_batch().await? {
                take(batch)?;
            }
            Ok(())
        };
        let read = tokio::time::timeout(timeout, Box::pin(read)).await.unwrap_or_else(|_| Err(too_slow(timeout)));
        read.map_err(|error| self.engine.root.hide_in(error))
    }
}

fn too_costly(words: &str) -> Error {
    Error::new(ErrorKind::TooCostly, words)
}

/// Memory that an answer may still take, in bytes.
struct Budget(usize);

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or_else(|| too_costly("the answer is larger than an answer may be; ask for less"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use domain::{ManualClock, PostTable};
    use std::path::Path;
    use std::sync::Arc;
    use testkit::posts::noon;
    use testkit::random;

    async fn filled(folder: &Path, config: Config) -> Lake {
        let lake = Lake::open(folder.to_str().unwrap(), config, Arc::new(ManualClock::at(noon()))).await.unwrap();
        lake.commit(testkit::posts::batch((1..=900).map(random::post).collect())).await.unwrap();
        lake
    }

    async fn held(lake: &Lake) {
        lake.warm_up();
        while lake.held_since().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The last hours of the posts.
    fn last(hours: i64) -> Selection {
        let to = noon() + chrono::Duration::days(3);
        Selection::all(TimeRange { from: to - chrono::Duration::hours(hours), to })
    }

    #[tokio::test]
    async fn days_beyond_the_memory_are_left_to_sql() {
        let folder = tempfile::tempdir().unwrap();
        let lake = filled(folder.path(), Config { counts_bytes_max: 20_000, ..Config::default() }).await;
        held(&lake).await;
        let is_held = async |selection| lake.held(&selection, |_| Some(())).await.unwrap().is_some();
        let nth = async |nth| lake.nth_newest_held(&last(72), nth).await.unwrap();
        assert!(is_held(last(12)).await && !is_held(last(72)).await);
        assert!(nth(5).await.is_some() && nth(900).await.is_none());
        let words = Selection { words: vec!["late".into()], ..last(12) };
        assert!(!is_held(words).await, "only the texts tell whether a word occurs");
    }

    #[tokio::test]
    async fn without_memory_nothing_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let lake = filled(folder.path(), Config { counts_bytes_max: 0, ..Config::default() }).await;
        lake.warm_up();
        assert_eq!(lake.held(&last(12), |_| Some(())).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_answer_of_too_many_rows_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lake = filled(folder.path(), Config::default()).await;
        let ask = async |rows: usize| {
            let sql = format!("SELECT i FROM generate_series(1, {rows}) AS t(i)");
            lake.batches(&sql).await.map(|batches| batches.iter().map(RecordBatch::num_rows).sum::<usize>())
        };
        assert_eq!(ask(ROWS_MAX).await.unwrap(), ROWS_MAX);
        assert_eq!(ask(ROWS_MAX + 1).await.unwrap_err().kind(), ErrorKind::TooCostly);
    }

    #[tokio::test]
    async fn recent_texts_end_before_they_are_larger_than_an_answer_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let lake = filled(folder.path(), Config { answer_bytes_max: 100, ..Config::default() }).await;
        let range = last(72).range;
        let newest = lake.recent_texts(&RecentTextsQuery { range, limit: 3 }).await.unwrap();
        let texts = lake.recent_texts(&RecentTextsQuery { range, limit: 900 }).await.unwrap();
        let bytes: usize = texts.iter().map(|post| post.text.len()).sum();
        assert!(texts.len() > 3 && bytes <= 100, "{} texts of {bytes} bytes", texts.len());
        assert_eq!(texts[..3], newest, "the newest stay");
    }
}
