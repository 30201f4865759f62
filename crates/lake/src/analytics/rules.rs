//! The questions of alert rules.

use super::sql::{in_range, interval, literal, of_series, pattern, time, time_in_range};
use super::{incidents, too_costly};
use crate::lake::Lake;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{Anomaly, Result, RuleHistory, SeriesKey, TimeRange, Timestamp, WindowCount, Windows};
use std::time::Duration;

/// A rule is asked about every half minute.
const LIVE: Duration = Duration::from_secs(10);
/// Questions over all of history: the first look for a phrase, and those of a back-test.
const LONG: Duration = Duration::from_secs(120);
/// A post becomes visible some time after it was enriched.
const PUBLISHED_BEFORE: TimeDelta = TimeDelta::days(1);
/// Most seconds with posts that a back-test looks at.
const RECEIVED_MAX: usize = 1_000_000;

#[async_trait]
impl RuleHistory for Lake {
    async fn window_counts(&self, topic: Option<&str>, windows: Windows) -> Result<Vec<WindowCount>> {
        let Windows { from, length, count } = windows;
        let to = from + length * i32::try_from(count).unwrap_or(i32::MAX);
        let sql = format!(
            "SELECT {} AS at, count(*), count(*) FILTER (WHERE sentiment = 'negative') FROM sentiment \
             WHERE {} AND {} GROUP BY 1",
            interval(from, length),
            in_range(TimeRange { from, to }),
            of_series(&SeriesKey::of_topic(topic)),
        );
        let mut counts = vec![WindowCount::default(); count];
        let timeout = if count > 2 { LONG } else { LIVE };
        self.each_batch(&sql, timeout, |rows| {
            for row in 0..rows.rows {
                let at = rows.int(0, row).and_then(|at| usize::try_from(at).ok());
                if let Some(window) = at.and_then(|at| counts.get_mut(at)) {
                    *window = WindowCount { mentions: rows.count(1, row), negative: rows.count(2, row) };
                }
            }
            Ok(())
        })
        .await?;
        Ok(counts)
    }

    async fn first_mention(
        &self,
        topic: Option<&str>,
        phrase: &str,
        enriched_since: Option<Timestamp>,
    ) -> Result<Option<Timestamp>> {
        let since = enriched_since
            .map(|at| format!(" AND enriched_at >= {} AND occurred_at >= {}", time(at), time(at - PUBLISHED_BEFORE)));
        let sql = format!(
            "SELECT min(occurred_at) FROM sentiment WHERE text ILIKE {} AND {}{}",
            pattern(phrase),
            of_series(&SeriesKey::of_topic(topic)),
            since.unwrap_or_default(),
        );
        let timeout = if enriched_since.is_some() { LIVE } else { LONG };
        self.first_row(&sql, timeout, |rows| rows.time(0, 0)).await
    }

    async fn last_received(&self, source: &str, since: Timestamp) -> Result<Option<Timestamp>> {
        let sql = format!(
            "SELECT max(received_at) FROM raw WHERE source = {} AND received_at >= {since} AND occurred_at >= {since}",
            literal(source),
            since = time(since),
        );
        self.first_row(&sql, LIVE, |rows| rows.time(0, 0)).await
    }

    async fn received(&self, source: &str, range: TimeRange) -> Result<Vec<Timestamp>> {
        let sql = format!(
            "SELECT DISTINCT CAST(received_at AS BIGINT) / 1000000 AS second FROM raw \
             WHERE source = {} AND received_at >= {} AND received_at < {} ORDER BY 1 LIMIT {RECEIVED_MAX}",
            literal(source),
            time(range.from),
            time(range.to),
        );
        let mut received = Vec::new();
        self.each_batch(&sql, LONG, |rows| {
            let seconds = (0..rows.rows).filter_map(|row| rows.int(0, row));
            received.extend(seconds.filter_map(|second| Timestamp::from_timestamp(second, 0)));
            Ok(())
        })
        .await?;
        whole(received)
    }

    async fn anomalies(&self, topic: Option<&str>, onset: TimeRange) -> Result<Vec<Anomaly>> {
        let topic = topic.map_or_else(|| "TRUE".to_owned(), |topic| format!("topic = {}", literal(topic)));
        let meant = format!("{} AND {topic} ORDER BY onset, anomaly_id", time_in_range("onset", onset));
        incidents::anomalies_where(self, &meant).await
    }
}

/// Refuses seconds that were cut off: the first that is left out would look like the beginning of a silence.
fn whole(received: Vec<Timestamp>) -> Result<Vec<Timestamp>> {
    match received.len() < RECEIVED_MAX {
        true => Ok(received),
        false => Err(too_costly("the source brought posts in more than a million seconds; try fewer days")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_that_were_cut_off_are_no_answer() {
        let received = vec![Timestamp::default(); RECEIVED_MAX];
        assert_eq!(whole(received[1..].to_vec()).unwrap().len(), RECEIVED_MAX - 1);
        assert!(whole(received).unwrap_err().to_string().contains("fewer days"));
    }
}
