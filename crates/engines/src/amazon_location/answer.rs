//! The service's JSON into places of the house. Only countries, regions and towns are taken: a street or a shop that
//! sounds like a location line is not where somebody lives.

use domain::{Coordinates, Place, PlaceKind};
use serde::Deserialize;

/// Below this a match is a guess (`MatchScores.Overall`, 0 to 1).
const SCORE_MIN: f32 = 0.8;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    #[serde(default)]
    result_items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    place_type: String,
    #[serde(default)]
    title: String,
    address: Address,
    /// Longitude, latitude.
    position: [f64; 2],
    match_scores: Option<Scores>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    country: Option<Named>,
    region: Option<Named>,
    locality: Option<String>,
}

/// A country or region; a country's code is `Code2`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(alias = "Code2")]
    code: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scores {
    overall: Option<f32>,
}

impl Answer {
    /// The places of an answer to a text, the best first.
    pub(crate) fn of_text(self) -> Vec<Place> {
        let known = |item: &Item| matches!(item.place_type.as_str(), "Country" | "Region" | "Locality");
        self.result_items.into_iter().filter(known).filter_map(|item| item.place(SCORE_MIN)).collect()
    }

    /// The place of a point: its town, whatever lies exactly there.
    pub(crate) fn of_point(self) -> Vec<Place> {
        self.result_items.into_iter().filter_map(|item| item.place(0.0)).take(1).collect()
    }
}

impl Item {
    fn place(self, score_min: f32) -> Option<Place> {
        let confidence = self.match_scores.and_then(|scores| scores.overall).unwrap_or(1.0);
        let country = self.address.country?;
        let [lon, lat] = self.position;
        let kind = match self.place_type.as_str() {
            "Country" => PlaceKind::Country,
            "Region" => PlaceKind::Region,
            _ => PlaceKind::City,
        };
        let region = self.address.region.unwrap_or(Named { code: None, name: None });
        let name = match kind {
            PlaceKind::Country => country.name,
            PlaceKind::Region => region.name.clone(),
            _ => self.address.locality,
        };
        (confidence >= score_min).then_some(())?;
        Some(Place {
            name: name.unwrap_or(self.title),
            country: country.code?,
            region: region.name,
            region_code: region.code,
            coordinates: Coordinates::checked(lat, lon)?,
            kind,
            confidence: confidence.clamp(0.0, 1.0),
        })
    }
}
