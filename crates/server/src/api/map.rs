//! Where mentions come from: countries, and the places with the most of them.

use super::Viewer;
use crate::answers::each;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Filter, FilterParams};
use crate::query::{self, COUNTS};
use axum::Json;
use axum::extract::State;
use domain::Question;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountryView {
    /// ISO 3166-1, two letters.
    country: String,
    mentions: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    mixed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaceView {
    place: String,
    region: Option<String>,
    country: String,
    lat: f64,
    lon: f64,
    mentions: u64,
    positive: u64,
    negative: u64,
    neutral: u64,
    mixed: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapView {
    countries: Vec<CountryView>,
    /// The places with the most mentions, at most 500; whole countries are not among them.
    places: Vec<PlaceView>,
    /// Posts in view, with and without a place.
    mentions: u64,
    /// Posts in view whose place is known.
    placed: u64,
}

/// Mentions by country and place.
#[utoipa::path(get, path = "/api/map", tag = "analytics", params(FilterParams), responses((status = 200, body = MapView)))]
pub(crate) async fn map(State(app): State<Arc<App>>, _: Viewer, filter: Filter) -> Result<Json<MapView>, Error> {
    let conditions = query::posts_where(&filter);
    let countries = format!("SELECT country, {COUNTS} FROM sentiment WHERE {conditions} GROUP BY country");
    let places = format!(
        "SELECT place, region, country, avg(lat) AS lat, avg(lon) AS lon, {COUNTS} FROM sentiment WHERE {conditions} \
         AND lat IS NOT NULL AND place IS NOT NULL AND coalesce(place_kind, '') <> 'country' \
         GROUP BY place, region, country ORDER BY mentions DESC, place, region, country LIMIT 500"
    );
    let now = app.clock.now();
    let (countries, places) = tokio::try_join!(
        app.answers.count(&filter, Question::Countries, countries, 400, now),
        app.answers.count(&filter, Question::Places { limit: 500 }, places, 500, now)
    )?;
    let mentions = each(&countries).map(|row| row.count("mentions")).sum();
    let countries: Vec<CountryView> = each(&countries)
        .filter_map(|row| {
            Some(CountryView {
                country: row.text("country")?,
                mentions: row.count("mentions"),
                positive: row.count("positive"),
                negative: row.count("negative"),
                neutral: row.count("neutral"),
                mixed: row.count("mixed"),
            })
        })
        .collect();
    let placed = countries.iter().map(|country| country.mentions).sum();
    let places = each(&places).filter_map(|row| {
        Some(PlaceView {
            place: row.text("place")?,
            region: row.text("region"),
            country: row.text("country").unwrap_or_default(),
            lat: row.number("lat")?,
            lon: row.number("lon")?,
            mentions: row.count("mentions"),
            positive: row.count("positive"),
            negative: row.count("negative"),
            neutral: row.count("neutral"),
            mixed: row.count("mixed"),
        })
    });
    Ok(Json(MapView { places: places.collect(), countries, mentions, placed }))
}
