//! Where mentions come from: countries, and the places with the most of them.

use super::Viewer;
use crate::app::App;
use crate::error::Error;
use crate::filter::{Filter, FilterParams};
use axum::Json;
use axum::extract::State;
use domain::analytics::{CountriesQuery, CountryCount, Counts, PlaceCount, PlacesQuery};
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

const PLACES_MAX: usize = 500;

/// Mentions by country and place.
#[utoipa::path(get, path = "/api/map", tag = "analytics", params(FilterParams), responses((status = 200, body = MapView)))]
pub(crate) async fn map(State(app): State<Arc<App>>, _: Viewer, filter: Filter) -> Result<Json<MapView>, Error> {
    let now = app.clock.now();
    let countries = CountriesQuery { selection: filter.selection.clone() };
    let places = PlacesQuery { selection: filter.selection, limit: PLACES_MAX };
    let (countries, places) = tokio::try_join!(app.answers.ask(&countries, now), app.answers.ask(&places, now))?;
    let mentions = countries.iter().map(|country| country.counts.mentions).sum();
    let mut countries: Vec<CountryView> = countries.iter().filter_map(CountryView::of).collect();
    countries.sort_by(|a, b| b.mentions.cmp(&a.mentions).then_with(|| a.country.cmp(&b.country)));
    let placed = countries.iter().map(|country| country.mentions).sum();
    let mut places: Vec<PlaceView> = places.iter().map(PlaceView::of).collect();
    let name = |place: &PlaceView| (place.country.clone(), place.region.clone(), place.place.clone());
    places.sort_by(|a, b| b.mentions.cmp(&a.mentions).then_with(|| name(a).cmp(&name(b))));
    Ok(Json(MapView { countries, places, mentions, placed }))
}

impl CountryView {
    /// None where the country is not known.
    fn of(count: &CountryCount) -> Option<Self> {
        let Counts { mentions, positive, negative, neutral, mixed } = count.counts;
        Some(Self { country: count.country.clone()?, mentions, positive, negative, neutral, mixed })
    }
}

impl PlaceView {
    fn of(count: &PlaceCount) -> Self {
        let Counts { mentions, positive, negative, neutral, mixed } = count.counts;
        Self {
            place: count.place.clone(),
            region: count.region.clone(),
            country: count.country.clone().unwrap_or_default(),
            lat: count.lat,
            lon: count.lon,
            mentions,
            positive,
            negative,
            neutral,
            mixed,
        }
    }
}
