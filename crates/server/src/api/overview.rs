//! The numbers of a stretch of time beside those of the stretch before, and the volume of mentions over time.

use super::anomalies::{AnomalyView, within};
use super::{Params, Viewer};
use crate::answers::each;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Dimension, Filter, FilterParams, TimeRange};
use crate::query::{self, COUNTS};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use domain::Question;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// What is counted of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Totals {
    pub(crate) mentions: u64,
    /// Different authors, as far as sources name them.
    authors: u64,
    /// People that the posts may have reached, as sources state it.
    reach: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    mixed: u64,
    /// Negative among the posts whose sentiment is known, 0 to 1; none when of none it is.
    share_negative: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    range: TimeRange,
    /// The stretch of the same length just before.
    previous_range: TimeRange,
    totals: Totals,
    previous: Totals,
    /// When the newest post of the whole lake was written; none: there is no post yet.
    newest_at: Option<DateTime<Utc>>,
    /// Version of the lake that was read.
    version: u64,
}

/// Mentions, authors, reach and sentiment, each beside the stretch before.
#[utoipa::path(get, path = "/api/overview", tag = "analytics", params(FilterParams),
    responses((status = 200, body = Overview)))]
pub(crate) async fn overview(State(app): State<Arc<App>>, _: Viewer, filter: Filter) -> Result<Json<Overview>, Error> {
    let (range, previous_range) = (filter.range, filter.range.previous());
    let both = filter.within(TimeRange { from: previous_range.from, to: range.to });
    let sql = format!(
        "SELECT occurred_at >= {} AS current, {COUNTS}, count(DISTINCT coalesce(author_id, author)) AS authors, \
         sum(reach) AS reach FROM sentiment WHERE {} GROUP BY 1",
        query::time(range.from),
        query::posts_where(&both)
    );
    let now = app.clock.now();
    let version = app.answers.version();
    let everything = Filter::everything();
    let newest = "SELECT CAST(max(occurred_at) AS BIGINT) AS at_us FROM sentiment".to_owned();
    let (rows, newest) = tokio::try_join!(
        app.answers.count(&both, Question::Totals { since: range.from }, sql, 2, now),
        app.answers.count(&everything, Question::NthNewest { nth: 1 }, newest, 1, now)
    )?;
    let (mut totals, mut previous) = (Totals::default(), Totals::default());
    for row in each(&rows) {
        let (mentions, negative) = (row.count("mentions"), row.count("negative"));
        let (positive, neutral, mixed) = (row.count("positive"), row.count("neutral"), row.count("mixed"));
        let known = positive + negative + neutral + mixed;
        let counted = Totals {
            mentions,
            authors: row.count("authors"),
            reach: row.count("reach"),
            positive,
            negative,
            neutral,
            mixed,
            share_negative: (known > 0).then(|| negative as f64 / known as f64),
        };
        *(if row.flag("current") { &mut totals } else { &mut previous }) = counted;
    }
    let newest_at = each(&newest).next().and_then(|row| row.time("at"));
    Ok(Json(Overview { range, previous_range, totals, previous, newest_at, version }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesParams {
    /// What the volume is split by: `sentiment` (when left out), `category`, `language`, `platform`, `country` or
    /// `topic`.
    by: Option<String>,
    /// Length of an interval in seconds, 60 or more; chosen by the length of the range when left out.
    granularity: Option<i64>,
}

/// Mentions of one value in each interval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// The value; empty when it is not known.
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
    /// The largest values first; beyond the twelfth they are summed up as `other`.
    lines: Vec<Line>,
    /// Anomalies of the topics in view whose onset lies within the range.
    anomalies: Vec<AnomalyView>,
    version: u64,
}

const POINTS_MAX: i64 = 3000;
const LINES_MAX: usize = 12;

/// Mentions over time, split by a dimension, with the anomalies of that time.
#[utoipa::path(get, path = "/api/series", tag = "analytics", params(FilterParams, SeriesParams),
    responses((status = 200, body = Series)))]
pub(crate) async fn series(
    State(app): State<Arc<App>>,
    _: Viewer,
    filter: Filter,
    Params(params): Params<SeriesParams>,
) -> Result<Json<Series>, Error> {
    let by = split_dimension(params.by.as_deref())?;
    let granularity_s = checked_granularity(params.granularity, filter.range)?;
    let origin = query::origin(filter.range, filter.time_zone);
    let (conditions, bucket) = (query::posts_where(&filter), query::bucket(granularity_s, origin));
    let source = match query::column(by) {
        Some(column) => format!("SELECT occurred_at, {column} AS value FROM sentiment WHERE {conditions}"),
        None => format!("SELECT occurred_at, unnest(topics) AS value FROM sentiment WHERE {conditions}"),
    };
    let sql = format!("SELECT {bucket} AS at_us, value, count(*) AS mentions FROM ({source}) GROUP BY 1, 2");
    let (now, version) = (app.clock.now(), app.answers.version());
    let question = Question::Series { by: query::counted(by), origin, step_s: granularity_s };
    let (rows, anomalies) =
        tokio::try_join!(app.answers.count(&filter, question, sql, 200_000, now), within(&app, &filter, 200))?;
    let cells = each(&rows)
        .filter_map(|row| Some((row.time("at")?, row.text("value").unwrap_or_default(), row.count("mentions"))));
    let times = intervals(filter.range, origin, granularity_s);
    let lines = lines(cells, &times);
    Ok(Json(Series { by, granularity_s, times, lines, anomalies, version }))
}

fn split_dimension(by: Option<&str>) -> Result<Dimension, Error> {
    use Dimension::{Category, Country, Language, Platform, Sentiment, Topic};
    let dimension = Dimension::parse(by.unwrap_or("sentiment"));
    dimension.filter(|by| [Sentiment, Category, Language, Platform, Country, Topic].contains(by)).ok_or_else(|| {
        Error::bad_field("by", "A series is split by sentiment, category, language, platform, country or topic.")
    })
}

fn checked_granularity(asked: Option<i64>, range: TimeRange) -> Result<i64, Error> {
    let Some(step) = asked else { return Ok(query::granularity_s(range)) };
    let points = range.length().num_seconds().checked_div(step).unwrap_or(i64::MAX);
    match step >= 60 && points <= POINTS_MAX {
        true => Ok(step),
        false => Err(Error::bad_field(
            "granularity",
            format!("An interval has 60 seconds or more, and a series at most {POINTS_MAX} of them."),
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

fn lines(cells: impl Iterator<Item = (DateTime<Utc>, String, u64)>, times: &[DateTime<Utc>]) -> Vec<Line> {
    let mut by_value: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (at, value, mentions) in cells {
        if let Ok(place) = times.binary_search(&at) {
            by_value.entry(value).or_insert_with(|| vec![0; times.len()])[place] += mentions;
        }
    }
    let mut lines: Vec<Line> = by_value.into_iter().map(|(name, mentions)| Line { name, mentions }).collect();
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
        let cells = (1..=20u64).map(|n| (times[(n % 2) as usize], format!("v{n:02}"), n));
        let lines = lines(cells, &times);
        assert_eq!((lines.len(), lines[0].name.as_str(), lines[11].name.as_str()), (12, "v20", "other"));
        let sum: u64 = lines.iter().flat_map(|line| &line.mentions).sum();
        assert_eq!(sum, 210);
    }

    #[test]
    fn granularity_is_bounded_on_both_sides() {
        let range = TimeRange { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-23T00:00:00Z") };
        assert!(checked_granularity(Some(0), range).is_err());
        assert!(checked_granularity(Some(60), range).is_err());
        assert_eq!(checked_granularity(Some(3600), range).unwrap(), 3600);
    }
}
