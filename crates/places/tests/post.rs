//! The place of a post, and the author's told apart; the line that `overheard geocode` prints.

use domain::{Coordinates, PlaceFrom};
use places::{Clues, Gazetteer, Hints, PostPlaces, geocode_line};

fn gazetteer() -> &'static Gazetteer {
    Gazetteer::embedded().expect("the embedded index is whole")
}

fn located(geotag: Option<Coordinates>, entities: &[&str], profile: Option<&str>) -> PostPlaces {
    let clues = Clues { geotag, place_name: None, entities, profile, language: Some("en") };
    places::of_post(gazetteer(), &clues).expect("the gazetteer always answers")
}

#[test]
fn coordinates_come_before_words_and_words_before_the_profile() {
    let times_square = Coordinates { lat: 40.758, lon: -73.9855 };
    let places = located(Some(times_square), &["Paris"], Some("Berlin"));
    let (place, from) = places.place.unwrap();
    assert_eq!((from, place.region_code.as_deref(), place.coordinates), (PlaceFrom::Geotag, Some("NY"), times_square));
    assert_eq!(places.author_place.unwrap().country, "DE");

    let places = located(None, &["Paris"], Some("Berlin"));
    let (place, from) = places.place.unwrap();
    assert_eq!((from, place.name.as_str()), (PlaceFrom::Text, "Paris"));

    let places = located(None, &[], Some("Berlin"));
    let (place, from) = places.place.unwrap();
    assert_eq!((from, place.name.as_str()), (PlaceFrom::Profile, "Berlin"));
}

#[test]
fn places_in_one_text_settle_each_other() {
    let places = located(None, &["Paris", "Texas"], None);
    assert_eq!(places.place.unwrap().0.region_code.as_deref(), Some("TX"));
    assert_eq!(places.author_place, None);
}

#[test]
fn a_profile_without_a_place_gives_none() {
    let places = located(None, &[], Some("in your heart"));
    assert_eq!((places.place, places.author_place), (None, None));
}

#[test]
fn the_line_of_json_is_as_promised() {
    let line = |text| geocode_line(gazetteer(), text, &Hints::default());
    assert_eq!(line("undecided"), "null");
    let value: serde_json::Value = serde_json::from_str(&line("Austin, TX")).unwrap();
    for (key, wanted) in
        [("country", "US"), ("region", "Texas"), ("region_code", "TX"), ("name", "Austin"), ("kind", "city")]
    {
        assert_eq!(value[key], wanted);
    }
    assert!(
        (value["lat"].as_f64().unwrap() - 30.27).abs() < 0.1 && (value["lon"].as_f64().unwrap() + 97.74).abs() < 0.1
    );
    assert!(value["confidence"].as_f64().unwrap() > 0.9);
    let two: serde_json::Value = serde_json::from_str(&line("NY ✈️ LA")).unwrap();
    assert_eq!(two["others"][0]["name"], "Los Angeles");
}

#[test]
fn the_gazetteer_keeps_the_promises_of_the_port() {
    testkit::conformance::geocoder(gazetteer());
}
