//! Counts by SQL: for text searches, and for days that are not held in memory (`crate::counts` answers the others). Both
//! give the same answers.

use super::cells::Cells;
use super::sql::{self, COUNTS, SUMS, named_where, posts_where};
use arrow::array::RecordBatch;
use chrono::Duration;
use domain::analytics::{
    BreakdownItem, BreakdownQuery, COUNTED_KINDS, ComparedTotals, CountriesQuery, CountryCount, Counts, PlaceCount,
    PlacesQuery, SeriesPoint, SeriesQuery, TopicVolume, TopicVolumesQuery, Totals, TotalsQuery,
};
use domain::{Dimension, EntityKind, Result, TimeRange};

/// Two rows: before the moment, and from it on.
pub(super) fn totals_sql(query: &TotalsQuery) -> String {
    format!(
        "SELECT occurred_at >= {} AS current, {COUNTS}, count(DISTINCT coalesce(author_id, author)) AS authors, \
         sum(reach) AS reach FROM sentiment WHERE {} GROUP BY 1",
        sql::time(query.since),
        posts_where(&query.selection)
    )
}

pub(super) fn totals(batches: &[RecordBatch]) -> Result<ComparedTotals> {
    let mut compared = ComparedTotals::default();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [current, authors, reach] = rows.places(["current", "authors", "reach"])?;
        for (row, counts) in counts(&rows)?.into_iter().enumerate() {
            let totals = Totals { counts, authors: rows.count(authors, row), reach: rows.count(reach, row) };
            match rows.is_true(current, row) {
                true => compared.since = totals,
                false => compared.before = totals,
            }
        }
    }
    Ok(compared)
}

/// The counts of each row.
fn counts(rows: &Cells) -> Result<Vec<Counts>> {
    let [mentions, positive, negative, neutral, mixed] =
        rows.places(["mentions", "positive", "negative", "neutral", "mixed"])?;
    let of_row = |row| Counts {
        mentions: rows.count(mentions, row),
        positive: rows.count(positive, row),
        negative: rows.count(negative, row),
        neutral: rows.count(neutral, row),
        mixed: rows.count(mixed, row),
    };
    Ok((0..rows.rows).map(of_row).collect())
}

pub(super) fn series_sql(query: &SeriesQuery) -> String {
    let (posts, interval) = (posts_where(&query.selection), sql::interval_start(query.origin, query.step_s));
    let value = sql::column(query.by).unwrap_or("unnest(topics)");
    format!(
        "SELECT {interval} AS at, value, count(*) AS mentions \
         FROM (SELECT occurred_at, {value} AS value FROM sentiment WHERE {posts}) GROUP BY 1, 2"
    )
}

pub(super) fn series(batches: &[RecordBatch]) -> Result<Vec<SeriesPoint>> {
    let mut points = Vec::new();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [at, value, mentions] = rows.places(["at", "value", "mentions"])?;
        points.extend((0..rows.rows).filter_map(|row| {
            let (value, mentions) = (rows.owned(value, row), rows.count(mentions, row));
            Some(SeriesPoint { at: rows.time(at, row)?, value, mentions })
        }));
    }
    Ok(points)
}

pub(super) fn breakdown_sql(query: &BreakdownQuery) -> String {
    let (posts, named) = (posts_where(&query.selection), named_where(&query.selection));
    let grouped = match query.by {
        Dimension::Topic => of_lists("topics", &posts),
        Dimension::Hashtag => of_lists("hashtags", &posts),
        Dimension::Entity => {
            let kinds = sql::literals(COUNTED_KINDS.map(EntityKind::as_str));
            names(&format!("SELECT entity AS name, kind, sentiment FROM entities WHERE {named} AND kind IN ({kinds})"))
        }
        Dimension::Phrase => {
            names(&format!("SELECT phrase AS name, NULL AS kind, sentiment FROM key_phrases WHERE {named}"))
        }
        scalar => {
            let column = scalar.name();
            format!(
                "SELECT {column} AS value, NULL AS kind, {COUNTS} FROM sentiment WHERE {posts} \
                 AND {column} IS NOT NULL GROUP BY {column}"
            )
        }
    };
    format!("{grouped} ORDER BY mentions DESC, value LIMIT {}", query.limit)
}

fn of_lists(column: &str, posts: &str) -> String {
    format!(
        "SELECT value, NULL AS kind, {COUNTS} FROM (SELECT unnest({column}) AS value, sentiment FROM sentiment \
         WHERE {posts}) WHERE value IS NOT NULL GROUP BY value"
    )
}

/// Names counted without regard to case, each with its most frequent spelling and kind.
fn names(source: &str) -> String {
    format!(
        "SELECT first_value(name ORDER BY spelled DESC, name) AS value, first_value(kind ORDER BY meant DESC, kind) AS kind, \
         {SUMS} FROM (SELECT *, sum(mentions) OVER (PARTITION BY name) AS spelled, \
         sum(mentions) OVER (PARTITION BY lower(name), kind) AS meant \
         FROM (SELECT name, kind, {COUNTS} FROM ({source}) GROUP BY name, kind)) GROUP BY lower(name)"
    )
}

pub(super) fn breakdown(batches: &[RecordBatch]) -> Result<Vec<BreakdownItem>> {
    let mut items = Vec::new();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [value, kind] = rows.places(["value", "kind"])?;
        items.extend(counts(&rows)?.into_iter().enumerate().map(|(row, counts)| BreakdownItem {
            value: rows.string(value, row),
            kind: rows.word(kind, row),
            counts,
        }));
    }
    Ok(items)
}

pub(super) fn countries_sql(query: &CountriesQuery) -> String {
    format!("SELECT country, {COUNTS} FROM sentiment WHERE {} GROUP BY country", posts_where(&query.selection))
}

pub(super) fn countries(batches: &[RecordBatch]) -> Result<Vec<CountryCount>> {
    let mut found = Vec::new();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [country] = rows.places(["country"])?;
        let of_row = |(row, counts)| CountryCount { country: rows.owned(country, row), counts };
        found.extend(counts(&rows)?.into_iter().enumerate().map(of_row));
    }
    Ok(found)
}

pub(super) fn places_sql(query: &PlacesQuery) -> String {
    format!(
        "SELECT place, region, country, avg(lat) AS lat, avg(lon) AS lon, {COUNTS} FROM sentiment WHERE {} \
         AND lat IS NOT NULL AND place IS NOT NULL AND coalesce(place_kind, '') <> 'country' \
         GROUP BY place, region, country \
         ORDER BY mentions DESC, place, region NULLS FIRST, country NULLS FIRST LIMIT {}",
        posts_where(&query.selection),
        query.limit
    )
}

pub(super) fn places(batches: &[RecordBatch]) -> Result<Vec<PlaceCount>> {
    let mut found = Vec::new();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [place, region, country, lat, lon] = rows.places(["place", "region", "country", "lat", "lon"])?;
        found.extend(counts(&rows)?.into_iter().enumerate().map(|(row, counts)| PlaceCount {
            place: rows.string(place, row),
            region: rows.owned(region, row),
            country: rows.owned(country, row),
            lat: rows.float(lat, row).unwrap_or_default(),
            lon: rows.float(lon, row).unwrap_or_default(),
            counts,
        }));
    }
    Ok(found)
}

pub(super) fn topic_volumes_sql(query: &TopicVolumesQuery) -> String {
    let to = query.to;
    format!(
        "SELECT topic, count(*) AS week, count(*) FILTER (WHERE occurred_at >= {}) AS day, max(occurred_at) AS newest \
         FROM (SELECT unnest(topics) AS topic, occurred_at FROM sentiment WHERE {}) GROUP BY topic",
        sql::time(to - Duration::days(1)),
        sql::in_range(TimeRange { from: to - Duration::days(7), to })
    )
}

pub(super) fn topic_volumes(batches: &[RecordBatch]) -> Result<Vec<TopicVolume>> {
    let mut volumes = Vec::new();
    for batch in batches {
        let rows = Cells::of(batch)?;
        let [topic, day, week, newest] = rows.places(["topic", "day", "week", "newest"])?;
        volumes.extend((0..rows.rows).filter_map(|row| {
            Some(TopicVolume {
                topic: rows.owned(topic, row)?,
                day: rows.count(day, row),
                week: rows.count(week, row),
                newest_at: rows.time(newest, row)?,
            })
        }));
    }
    Ok(volumes)
}
