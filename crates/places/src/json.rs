//! The answer of `overheard geocode`, one line a text.

use crate::{Gazetteer, Hints};
use domain::{Place, PlaceKind};
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    best: Entry<'a>,
    /// Further places that the text names, in the same form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    country: &'a str,
    region: Option<&'a str>,
    region_code: Option<&'a str>,
    name: &'a str,
    lat: f64,
    lon: f64,
    kind: PlaceKind,
    confidence: f64,
}

impl<'a> Entry<'a> {
    fn of(place: &'a Place) -> Self {
        Self {
            country: &place.country,
            region: place.region.as_deref(),
            region_code: place.region_code.as_deref(),
            name: &place.name,
            lat: place.coordinates.lat,
            lon: place.coordinates.lon,
            kind: place.kind,
            confidence: (f64::from(place.confidence) * 1000.0).round() / 1000.0,
        }
    }
}

/// One line of JSON (no line break): `null` when nothing is known, else the best place with `country`, `region`,
/// `region_code`, `name`, `lat`, `lon`, `kind`, `confidence`, and further places under `others`.
pub fn geocode_line(gazetteer: &Gazetteer, text: &str, hints: &Hints<'_>) -> String {
    let places = gazetteer.locate(text, hints);
    let Some((best, others)) = places.split_first() else { return "null".into() };
    let line = Line { best: Entry::of(best), others: others.iter().map(Entry::of).collect() };
    serde_json::to_string(&line).unwrap_or_else(|_| "null".into())
}
