//! The numbers of a stretch of time beside those of the stretch before, and the volume of mentions over time.

use super::anomalies::{AnomalyView, within};
use super::{Filtered, Viewer};
use crate::answers::NewestAt;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Filter, FilterParams, RANGE_DAYS_MAX};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use domain::analytics::{self, Counts, SeriesPoint, SeriesQuery, TotalsQuery};
use domain::{Dimension, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Counts of a time range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Totals {
    pub(crate) mentions: u64,
    /// Distinct authors, if sources name them.
    authors: u64,
    /// Number of people that the posts may have reached, as stated by sources.
    reach: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    mixed: u64,
    /// Share of negative posts among those with a sentiment, 0 to 1; null if there are none.
    share_negative: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    range: TimeRange,
    /// The previous period of the same length.
    previous_range: TimeRange,
    totals: Totals,
    previous: Totals,
    /// When the newest post in the lake was published; null if there are no posts.
    newest_at: Option<DateTime<Utc>>,
    /// Version of the lake that was read.
    version: u64,
}

/// Mentions, authors, reach and sentiment, with the previous period.
#[utoipa::path(get, path = "/api/overview", tag = "analytics", params(FilterParams),
    responses((status = 200, body = Overview)))]
pub(crate) async fn overview(State(app): State<Arc<App>>, _: Viewer, filter: Filter) -> Result<Json<Overview>, Error> {
    let range = filter.selection.range;
    let previous_range = range.previous();
    let selection = filter.selection.within(TimeRange { from: previous_range.from, to: range.to });
    let now = app.clock.now();
    let version = app.answers.version();
    let query = TotalsQuery { selection, since: range.from };
    let (totals, newest_at) = tokio::try_join!(app.answers.ask(&query, now), app.answers.ask(&NewestAt, now))?;
    Ok(Json(Overview {
        range,
        previous_range,
        totals: totals.since.into(),
        previous: totals.before.into(),
        newest_at: *newest_at,
        version,
    }))
}

impl From<analytics::Totals> for Totals {
    fn from(totals: analytics::Totals) -> Self {
        let Counts { mentions, positive, negative, neutral, mixed } = totals.counts;
        let known = positive + negative + neutral + mixed;
        Self {
            mentions,
            authors: totals.authors,
            reach: totals.reach,
            positive,
            negative,
            neutral,
            mixed,
            share_negative: (known > 0).then(|| negative as f64 / known as f64),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesParams {
    /// Dimension to split by: `sentiment` (default), `category`, `language`, `platform`, `country` or `topic`.
    by: Option<String>,
    /// Interval length in seconds, at least 60 (default: derived from the range).
    granularity: Option<i64>,
}

/// Mentions of one value in each interval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// The value; empty if unknown.
    name: String,
    /// One number for each of `times`.
    mentions: Vec<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Series {
    by: Dimension,
    granularity_s: i64,
    /// Starts of the intervals, without gaps.
    times: Vec<DateTime<Utc>>,
    /// Largest first; values beyond the twelfth are combined as `other`.
    lines: Vec<Line>,
    /// Anomalies of the topics in view whose onset lies within the range.
    anomalies: Vec<AnomalyView>,
    version: u64,
}

const POINTS_MAX: i64 = 3000;
/// No range is longer.
const GRANULARITY_MAX_S: i64 = RANGE_DAYS_MAX * 86_400;
const LINES_MAX: usize = 12;

/// Mentions over time, split by a dimension, with anomalies.
#[utoipa::path(get, path = "/api/series", tag = "analytics", params(FilterParams, SeriesParams),
    responses((status = 200, body = Series)))]
pub(crate) async fn series(
    State(app): State<Arc<App>>,
    _: Viewer,
    Filtered(filter, params): Filtered<SeriesParams>,
) -> Result<Json<Series>, Error> {
    let by = split_dimension(params.by.as_deref())?;
    let range = filter.selection.range;
    let granularity_s = checked_granularity(params.granularity, range)?;
    let origin = origin(range, filter.time_zone);
    let (now, version) = (app.clock.now(), app.answers.version());
    let anomalies = within(&app, &filter.selection, 200);
    let query = SeriesQuery { selection: filter.selection.clone(), by, origin, step_s: granularity_s };
    let (points, anomalies) = tokio::try_join!(app.answers.ask(&query, now), anomalies)?;
    let times = intervals(range, origin, granularity_s);
    let lines = lines(&points, &times);
    Ok(Json(Series { by, granularity_s, times, lines, anomalies, version }))
}

fn split_dimension(by: Option<&str>) -> Result<Dimension, Error> {
    let by = by.map_or(Ok(Dimension::Sentiment), str::parse).ok();
    by.filter(|by| SeriesQuery::DIMENSIONS.contains(by)).ok_or_else(|| {
        Error::bad_field("by", "A series is split by sentiment, category, language, platform, country or topic.")
    })
}

/// Lengths that an interval of a series can have, seconds.
const GRANULARITIES_S: [i64; 12] =
    [60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400];

/// The shortest interval that gives at most about a hundred points.
fn granularity_s(range: TimeRange) -> i64 {
    let seconds = range.length().num_seconds();
    GRANULARITIES_S.into_iter().find(|step| seconds <= step * 110).unwrap_or(90 * 86_400)
}

/// Where intervals begin: midnight of the person's zone at the start of the range. (A change of the clocks within the
/// range moves the days after it by that hour.)
fn origin(range: TimeRange, time_zone: Tz) -> Timestamp {
    let local = range.from.with_timezone(&time_zone).date_naive();
    let midnight = local.and_time(NaiveTime::MIN);
    time_zone.from_local_datetime(&midnight).earliest().map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}

fn checked_granularity(asked: Option<i64>, range: TimeRange) -> Result<i64, Error> {
    let Some(step) = asked else { return Ok(granularity_s(range)) };
    let points = range.length().num_seconds().checked_div(step).unwrap_or(i64::MAX);
    match (60..=GRANULARITY_MAX_S).contains(&step) && points <= POINTS_MAX {
        true => Ok(step),
        false => Err(Error::bad_field(
            "granularity",
            format!("An interval has 60 seconds to ten years, and a series at most {POINTS_MAX} of them."),
        )),
    }
}

/// The starts of all intervals that touch the range.
fn intervals(range: TimeRange, origin: DateTime<Utc>, step_s: i64) -> Vec<DateTime<Utc>> {
    let behind = (range.from - origin).num_microseconds().unwrap_or(0).div_euclid(step_s * 1_000_000);
    let first = origin + Duration::seconds(behind * step_s);
    let starts = (0..).map(|n| first + Duration::seconds(n * step_s));
    starts.take_while(|start| *start < range.to).collect()
}

fn lines(points: &[SeriesPoint], times: &[DateTime<Utc>]) -> Vec<Line> {
    let mut by_value: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for point in points {
        if let Ok(place) = times.binary_search(&point.at) {
            let value = point.value.as_deref().unwrap_or_default();
            by_value.entry(value).or_insert_with(|| vec![0; times.len()])[place] += point.mentions;
        }
    }
    let mut lines: Vec<Line> =
        by_value.into_iter().map(|(name, mentions)| Line { name: name.to_owned(), mentions }).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.mentions.iter().sum::<u64>()));
    if lines.len() > LINES_MAX {
        let rest = lines.split_off(LINES_MAX - 1);
        let sum = |at: usize| rest.iter().map(|line| line.mentions[at]).sum();
        lines.push(Line { name: "other".into(), mentions: (0..times.len()).map(sum).collect() });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn intervals_leave_no_gap_and_begin_before_the_range_does() {
        let range = TimeRange { from: at("2026-11-23T00:20:00Z"), to: at("2026-11-23T02:00:00Z") };
        let starts = intervals(range, at("2026-11-22T00:00:00Z"), 3600);
        assert_eq!(starts, [at("2026-11-23T00:00:00Z"), at("2026-11-23T01:00:00Z")]);
    }

    #[test]
    fn beyond_twelve_lines_the_rest_is_summed_up() {
        let times = [at("2026-11-23T00:00:00Z"), at("2026-11-23T01:00:00Z")];
        let point = |n: u64| SeriesPoint { at: times[(n % 2) as usize], value: Some(format!("v{n:02}")), mentions: n };
        let lines = lines(&(1..=20).map(point).collect::<Vec<_>>(), &times);
        assert_eq!((lines.len(), lines[0].name.as_str(), lines[11].name.as_str()), (12, "v20", "other"));
        let sum: u64 = lines.iter().flat_map(|line| &line.mentions).sum();
        assert_eq!(sum, 210);
    }

    #[test]
    fn granularity_is_bounded_on_both_sides() {
        let range = TimeRange { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-23T00:00:00Z") };
        assert!(checked_granularity(Some(0), range).is_err());
        assert!(checked_granularity(Some(60), range).is_err());
        assert!(checked_granularity(Some(i64::MAX), range).is_err());
        assert_eq!(checked_granularity(Some(3600), range).unwrap(), 3600);
    }

    #[test]
    fn a_series_has_at_most_about_a_hundred_points() {
        let step = |from: &str| granularity_s(TimeRange { from: at(from), to: at("2026-11-23T07:00:00Z") });
        assert_eq!(step("2026-11-23T06:00:00Z"), 60);
        assert_eq!(step("2026-11-22T07:00:00Z"), 900);
        assert_eq!(step("2026-11-16T07:00:00Z"), 3 * 3600);
        assert_eq!(step("2026-10-23T07:00:00Z"), 12 * 3600);
        assert_eq!(step("2016-11-24T07:00:00Z"), 90 * 86_400);
    }

    #[test]
    fn days_begin_at_midnight_of_the_persons_zone() {
        let range = TimeRange { from: at("2026-11-20T12:00:00Z"), to: at("2026-11-23T07:00:00Z") };
        let origin = origin(range, "America/New_York".parse().unwrap());
        assert_eq!(origin.to_rfc3339(), "2026-11-20T05:00:00+00:00");
    }
}
