//! What holds for every text and every point: no panic, no place outside its country, no confidence beyond 1.

use domain::{Coordinates, Place, PlaceKind};
use places::{Gazetteer, Hints, geocode_line};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::OnceLock;

fn gazetteer() -> &'static Gazetteer {
    Gazetteer::embedded().expect("the embedded index is whole")
}

/// Country of each (region code, region name), over all places of the index.
fn countries_of_regions() -> &'static HashMap<(String, String), Vec<String>> {
    static REGIONS: OnceLock<HashMap<(String, String), Vec<String>>> = OnceLock::new();
    REGIONS.get_or_init(|| {
        let mut regions: HashMap<_, Vec<String>> = HashMap::new();
        let first = gazetteer().count(PlaceKind::Country);
        for number in first..first + gazetteer().count(PlaceKind::Region) {
            let place = gazetteer().nth(number).expect("numbers below the count are places");
            let key = (place.region_code.unwrap_or_default(), place.region.unwrap_or_default());
            regions.entry(key).or_default().push(place.country);
        }
        regions
    })
}

fn check(place: &Place) {
    assert!(place.country.len() == 2 && place.country.bytes().all(|b| b.is_ascii_uppercase()), "{place:?}");
    assert!((0.0..=1.0).contains(&place.confidence), "{place:?}");
    assert!(Coordinates::checked(place.coordinates.lat, place.coordinates.lon).is_some(), "{place:?}");
    if let Some(region) = &place.region {
        let key = (place.region_code.clone().unwrap_or_default(), region.clone());
        assert!(countries_of_regions()[&key].contains(&place.country), "{place:?}");
    }
    if place.kind != PlaceKind::Point {
        // The point of a named place lies in its country: the nearest town there is in it, or a border is near.
        assert!(!place.name.is_empty(), "{place:?}");
    }
}

/// Lines as people write them: names, codes, ornament and chance letters.
fn line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "Paris",
            "Texas",
            "TX",
            "Georgia",
            "New York",
            "NYC",
            "München",
            "北京",
            "東京",
            "ニュー",
            "กรุงเทพ",
            "🇩🇪",
            "🇺",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "🏴",
            "CA",
            "in",
            "of",
            "the",
            "County",
            "via",
            "D.C.",
            "U.S",
            "St.",
            "@x",
            "a.com",
            "40.1,-73.2",
            "°",
            "NYCATL",
            "S F",
            "Reading",
            "love",
            "القاهرة",
            "दिल्ली",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    let glue = prop::sample::select(vec![" ", ", ", "/", " - ", "", ".", "|", "\n", "'", "✈️"]);
    prop::collection::vec((piece, glue), 0..8).prop_map(|parts| parts.into_iter().map(|(p, g)| p + g).collect())
}

proptest! {
    #[test]
    fn any_text_gives_places_within_their_countries(text in line()) {
        let places = gazetteer().locate(&text, &Hints::default());
        prop_assert!(places.len() <= 4);
        places.iter().for_each(check);
    }

    #[test]
    fn any_point_gives_a_place_or_none(lat in -91.0..91.0_f64, lon in -181.0..181.0_f64) {
        if let Some(place) = gazetteer().nearest(Coordinates { lat, lon }) {
            check(&place);
            prop_assert_eq!(place.coordinates, Coordinates { lat, lon });
        }
    }

    #[test]
    fn any_line_of_json_can_be_read(text in "\\PC{0,40}") {
        let line = geocode_line(gazetteer(), &text, &Hints::default());
        prop_assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert!(value.is_null() || value["country"].is_string());
    }
}

#[test]
fn every_place_of_the_index_is_whole() {
    let gazetteer = gazetteer();
    let total: u32 =
        [PlaceKind::Country, PlaceKind::Region, PlaceKind::City].into_iter().map(|kind| gazetteer.count(kind)).sum();
    assert!(gazetteer.count(PlaceKind::City) > 170_000);
    for number in 0..total {
        let place = gazetteer.nth(number).unwrap();
        if place.kind == PlaceKind::Region && place.region.is_none() {
            continue;
        }
        check(&place);
    }
    assert_eq!(gazetteer.nth(total), None);
}

#[test]
fn the_nearest_place_of_a_city_is_in_its_country() {
    let gazetteer = gazetteer();
    let first = gazetteer.count(PlaceKind::Country) + gazetteer.count(PlaceKind::Region);
    for number in (first..first + gazetteer.count(PlaceKind::City)).step_by(997) {
        let city = gazetteer.nth(number).unwrap();
        assert_eq!(gazetteer.nearest(city.coordinates).unwrap().country, city.country, "{city:?}");
    }
}

/// Found by the fuzz target.
#[test]
fn half_words_of_a_line_do_not_add_up_to_less_than_none() {
    let found = gazetteer().locate("Canton`````Cant``ho", &Hints::default());
    found.iter().for_each(check);
}
