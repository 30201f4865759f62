//! Every selected post, in pieces, for answers that no limit cuts and that are not held in memory.

use super::cells::Cells;
use super::sql::posts_where;
use super::stored::{self, stored_posts};
use crate::lake::Lake;
use chrono::{Duration, NaiveDate, NaiveTime};
use domain::analytics::PostStream;
use domain::{Result, Selection, TimeRange};
use futures::StreamExt as _;
use futures::TryStreamExt as _;

/// Posts are sorted by time. About so many are sorted at once.
const SORTED_AT_ONCE: u64 = 50_000;

pub(super) async fn posts(lake: &Lake, selection: &Selection) -> Result<PostStream> {
    let view = lake.view().await?;
    let days = format!(
        "SELECT CAST(event_date AS VARCHAR) AS day, count(*) AS posts FROM sentiment WHERE {} \
         GROUP BY event_date ORDER BY event_date DESC",
        posts_where(selection)
    );
    let mut statements = Vec::new();
    let mut counted = view.clone().sql(vec![days]);
    while let Some(batch) = counted.try_next().await? {
        let rows = Cells::of(&batch)?;
        let [day, posts] = rows.places(["day", "posts"])?;
        for row in 0..rows.rows {
            let day = rows.text(day, row).and_then(|day| day.parse().ok()).unwrap_or_default();
            let ranges = ranges_of_day(day, rows.count(posts, row), selection.range);
            statements.extend(ranges.into_iter().map(|range| statement(&selection.within(range))));
        }
    }
    Ok(view.sql(statements).map(|batch| stored_posts(&batch?)).boxed())
}

fn statement(selection: &Selection) -> String {
    format!(
        "SELECT {} FROM sentiment WHERE {} ORDER BY occurred_at DESC, post_id DESC",
        stored::COLUMNS,
        posts_where(selection)
    )
}

/// The part of the range that lies in the day, in pieces with about [`SORTED_AT_ONCE`] posts each, the latest first.
fn ranges_of_day(day: NaiveDate, posts: u64, range: TimeRange) -> Vec<TimeRange> {
    let midnight = day.and_time(NaiveTime::MIN).and_utc();
    let (from, to) = (range.from.max(midnight), range.to.min(midnight + Duration::days(1)));
    let pieces = i32::try_from(posts.div_ceil(SORTED_AT_ONCE).clamp(1, 24 * 60)).unwrap_or(1);
    // Whole microseconds, as times are kept.
    let step = (to - from).num_microseconds().unwrap_or(0) / i64::from(pieces);
    let at = |piece: i32| if piece == pieces { to } else { from + Duration::microseconds(step * i64::from(piece)) };
    let ranges = (0..pieces).rev().map(|piece| TimeRange { from: at(piece), to: at(piece + 1) });
    ranges.filter(|range| range.from < range.to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_day_leave_no_instant_out() {
        let time = |text: &str| text.parse().unwrap();
        let range = TimeRange { from: time("2026-11-20T07:00:00.000001Z"), to: time("2026-11-22T00:00:00Z") };
        let day = |text: &str, posts| ranges_of_day(text.parse().unwrap(), posts, range);
        let pieces = day("2026-11-20", 330_000);
        assert_eq!((pieces.len(), pieces[0].to, pieces[6].from), (7, time("2026-11-21T00:00:00Z"), range.from));
        assert!(pieces.windows(2).all(|pair| pair[0].from == pair[1].to));
        assert_eq!(day("2026-11-21", 1), [TimeRange { from: time("2026-11-21T00:00:00Z"), to: range.to }]);
    }
}
