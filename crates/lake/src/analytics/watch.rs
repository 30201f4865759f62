//! The questions of the watch: what is counted per interval.

use super::Budget;
use super::cells::Cells;
use super::sql::{in_range, interval, literal, of_series};
use crate::lake::Lake;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    Analytics, Dimension, Error, Evidence, IncidentScope, Result, SeriesCounts, SeriesKey, TimeRange, Timestamp,
    WatchHistory,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

pub(super) const TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a count, and of a key besides its texts.
const COUNT_BYTES: usize = 16;
const KEY_BYTES: usize = 100;
/// Stands for all posts in counts by topic: no topic has an empty name.
const ALL: &str = "";

#[async_trait]
impl WatchHistory for Lake {
    async fn span(&self) -> Result<Option<(Timestamp, Timestamp)>> {
        let sql = "SELECT min(occurred_at), max(occurred_at) FROM sentiment";
        self.first_row(sql, TIMEOUT, |rows| rows.time(0, 0).zip(rows.time(1, 0))).await
    }

    async fn mentions(&self, series: &SeriesKey, range: TimeRange) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM sentiment WHERE {} AND {}", in_range(range), of_series(series));
        Ok(self.first_row(&sql, TIMEOUT, |rows| Some(rows.count(0, 0))).await?.unwrap_or(0))
    }

    async fn posts_by_interval(&self, range: TimeRange, interval_s: u32) -> Result<BTreeMap<Timestamp, u64>> {
        let sql =
            format!("SELECT {} AS at, count(*) FROM sentiment WHERE {} GROUP BY 1", bin(interval_s), in_range(range));
        let mut posts = BTreeMap::new();
        self.each_batch(&sql, TIMEOUT, |rows| {
            for row in 0..rows.rows {
                posts.insert(begin(rows.int(0, row), interval_s)?, rows.count(1, row));
            }
            Ok(())
        })
        .await?;
        Ok(posts)
    }

    async fn topic_counts(&self, range: TimeRange, interval_s: u32) -> Result<SeriesCounts> {
        self.counts(&wholes(range, interval_s), interval_s).await
    }

    async fn part_counts(&self, range: TimeRange, interval_s: u32, dimensions: &[Dimension]) -> Result<SeriesCounts> {
        self.counts(&parts(range, interval_s, dimensions), interval_s).await
    }

    async fn evidence(&self, incident: &IncidentScope) -> Result<Evidence> {
        self.evidence_of(incident).await
    }

    async fn explained_ends(&self) -> Result<HashMap<String, Timestamp>> {
        let sql = "SELECT anomaly_id, ended_at FROM anomalies WHERE ended_at IS NOT NULL AND drivers <> '[]'";
        let mut ends = HashMap::new();
        self.each_batch(sql, TIMEOUT, |rows| {
            ends.extend((0..rows.rows).filter_map(|row| rows.owned(0, row).zip(rows.time(1, row))));
            Ok(())
        })
        .await?;
        Ok(ends)
    }

    fn version(&self) -> u64 {
        Analytics::version(self)
    }
}

impl Lake {
    /// Counts of series, of rows `interval, topic, dimension, value, mentions`.
    async fn counts(&self, sql: &str, interval_s: u32) -> Result<SeriesCounts> {
        let (mut counts, mut budget) = (SeriesCounts::new(), Budget(self.config.answer_bytes_max));
        self.each_batch(sql, TIMEOUT, |rows| {
            (0..rows.rows).try_for_each(|row| {
                let (key, count) = series_count(rows, row, interval_s)?;
                budget.take(COUNT_BYTES)?;
                let key_bytes =
                    KEY_BYTES + key.topic_name().len() + key.part.as_ref().map_or(0, |(_, value)| value.len());
                let of_series = match counts.entry(key) {
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        budget.take(key_bytes)?;
                        entry.insert(Vec::new())
                    }
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                };
                of_series.push(count);
                Ok(())
            })
        })
        .await?;
        for of_series in counts.values_mut() {
            of_series.sort_unstable_by_key(|(at, _)| *at);
        }
        Ok(counts)
    }
}

fn series_count(rows: &Cells, row: usize, interval_s: u32) -> Result<(SeriesKey, (Timestamp, f64))> {
    let topic = rows.owned(1, row).ok_or_else(|| Error::stop("the lake counted a series without a topic"))?;
    let part = rows.word(2, row).zip(rows.owned(3, row));
    let at = begin(rows.int(0, row), interval_s)?;
    let topic = Some(topic).filter(|topic| topic != ALL);
    Ok((SeriesKey { topic, part }, (at, rows.count(4, row) as f64)))
}

fn bin(interval_s: u32) -> String {
    interval(Timestamp::UNIX_EPOCH, TimeDelta::seconds(interval_s.into()))
}

/// Begin of the interval with this number.
fn begin(number: Option<i64>, interval_s: u32) -> Result<Timestamp> {
    let seconds = number.and_then(|number| number.checked_mul(interval_s.into()));
    let at = seconds.and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
    at.ok_or_else(|| Error::stop(format!("the lake counted an interval with the number {number:?}")))
}

fn wholes(range: TimeRange, interval_s: u32) -> String {
    let (bin, within, all) = (bin(interval_s), in_range(range), literal(ALL));
    format!(
        "SELECT {bin} AS at, {all} AS topic, CAST(NULL AS VARCHAR) AS dimension, CAST(NULL AS VARCHAR) AS value, \
                count(*) AS n FROM sentiment WHERE {within} GROUP BY 1 \
         UNION ALL \
         SELECT at, topic, CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), count(*) FROM \
           (SELECT {bin} AS at, unnest(topics) AS topic FROM sentiment WHERE {within}) GROUP BY 1, 2"
    )
}

fn parts(range: TimeRange, interval_s: u32, dimensions: &[Dimension]) -> String {
    let (bin, within, all) = (bin(interval_s), in_range(range), literal(ALL));
    let parts = std::iter::once(Dimension::Category).chain(dimensions.iter().copied()).map(|dimension| {
        let topics = match dimension {
            Dimension::Category => "topics".to_owned(),
            _ => format!("array_append(topics, {all})"),
        };
        let column = dimension.name();
        format!(
            "SELECT at, topic, '{column}' AS dimension, value, count(*) AS n FROM \
               (SELECT {bin} AS at, unnest({topics}) AS topic, {column} AS value FROM sentiment \
                 WHERE {within} AND {column} IS NOT NULL) GROUP BY 1, 2, 4"
        )
    });
    parts.collect::<Vec<_>>().join(" UNION ALL ")
}
