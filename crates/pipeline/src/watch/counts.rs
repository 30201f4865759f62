//! Counts of a range of time, in as many questions as it takes.

use chrono::TimeDelta;
use domain::{Dimension, Error, ErrorKind, Result, SeriesCounts, SeriesKey, TimeRange, Timestamp, WatchHistory};
use tracing::warn;

/// Counts of a range.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    pub counts: SeriesCounts,
    /// Begins of intervals whose parts could not be counted; topics as wholes were.
    pub without_parts: Vec<Timestamp>,
}

impl Counted {
    /// Posts per interval; intervals without posts are left out.
    pub(super) fn posts(&self) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        let all = self.counts.get(&SeriesKey::all_posts()).into_iter().flatten();
        all.map(|(at, posts)| (*at, *posts as u64))
    }

    fn add(&mut self, counts: SeriesCounts) {
        for (key, counts) in counts {
            self.counts.entry(key).or_default().extend(counts);
        }
    }
}

/// Counts of all series in a range that begins and ends on whole intervals. What is too much for one answer is asked in
/// halves; parts that are too many even in one interval are left out of it.
pub async fn counts(
    history: &dyn WatchHistory,
    range: TimeRange,
    interval_s: u32,
    dimensions: &[Dimension],
) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut waiting = vec![range];
    while let Some(range) = waiting.pop() {
        let intervals = (range.to - range.from).num_seconds() / i64::from(interval_s);
        let whole = history.topic_counts(range, interval_s).await;
        let parts = match &whole {
            Ok(_) => history.part_counts(range, interval_s, dimensions).await,
            Err(_) => Ok(SeriesCounts::new()),
        };
        match (whole, parts) {
            (Ok(whole), Ok(parts)) => {
                counted.add(whole);
                counted.add(parts);
            }
            (Err(error), _) | (_, Err(error)) if intervals > 1 && is_refused(&error) => {
                let half = i32::try_from(intervals / 2).unwrap_or(i32::MAX);
                let middle = range.from + TimeDelta::seconds(i64::from(interval_s)) * half;
                // The earlier half is asked first: counts come in order of time.
                waiting.push(TimeRange { from: middle, ..range });
                waiting.push(TimeRange { to: middle, ..range });
            }
            (Ok(whole), Err(error)) if is_refused(&error) => {
                warn!(at = %range.from, %error, "parts of topics could not be counted in an interval");
                counted.add(whole);
                counted.without_parts.push(range.from);
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
    }
    Ok(counted)
}

/// Whether the question itself is refused: a smaller one may be answered.
fn is_refused(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Reject | ErrorKind::TooCostly)
}
