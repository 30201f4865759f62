//! The promises of [`Geocoder`].

use domain::{Coordinates, Geocoder, Place, PlaceHints};

/// Runs every promise. The engine has to know Austin in Texas, and Munich by its coordinates.
pub fn geocoder(geocoder: &dyn Geocoder) {
    a_name_leads_to_places_the_best_first(geocoder);
    what_names_no_place_is_no_error(geocoder);
    preparing_changes_no_answer(geocoder);
    a_point_keeps_its_own_coordinates(geocoder);
}

/// Runs the promise of an engine that can't answer now.
pub fn geocoder_that_is_down(geocoder: &dyn Geocoder) {
    assert!(geocoder.locate("Austin, TX", &PlaceHints::default()).is_err(), "not known is not the same as nowhere");
    assert!(geocoder.nearest(MUNICH).is_err(), "not known is not the same as nowhere");
}

const MUNICH: Coordinates = Coordinates { lat: 48.137_41, lon: 11.575_52 };

fn locate(geocoder: &dyn Geocoder, text: &str) -> Vec<Place> {
    geocoder.locate(text, &PlaceHints::default()).expect(text)
}

fn holds_together(place: &Place) {
    assert!(!place.name.is_empty() && place.region.as_deref() != Some(""), "{place:?}");
    assert!(place.country.len() == 2 && place.country.bytes().all(|b| b.is_ascii_uppercase()), "{place:?}");
    assert!((0.0..=1.0).contains(&place.confidence), "{place:?}");
    let Coordinates { lat, lon } = place.coordinates;
    assert!(Coordinates::checked(lat, lon).is_some(), "{place:?}");
}

fn a_name_leads_to_places_the_best_first(geocoder: &dyn Geocoder) {
    for text in ["Austin, TX", "austin, tx"] {
        let found = locate(geocoder, text);
        let best = found.first().expect("Austin is known");
        assert_eq!(
            (best.name.as_str(), best.country.as_str(), best.region.as_deref()),
            ("Austin", "US", Some("Texas"))
        );
        found.iter().for_each(holds_together);
        assert!(found.is_sorted_by(|one, next| one.confidence >= next.confidence), "the best first: {found:?}");
    }
    let hints = PlaceHints { language: Some("en"), country: Some("US") };
    let hinted = geocoder.locate("Austin, TX", &hints).expect("hints are optional");
    assert_eq!(hinted.first().map(|place| place.name.as_str()), Some("Austin"));
}

fn what_names_no_place_is_no_error(geocoder: &dyn Geocoder) {
    for text in ["", " ", "🙂", "in your heart", "\0", &"x".repeat(10_000)] {
        assert_eq!(locate(geocoder, text), [], "{:?}", text.get(..20).unwrap_or(text));
    }
}

fn preparing_changes_no_answer(geocoder: &dyn Geocoder) {
    let before = locate(geocoder, "Austin, TX");
    geocoder.prepare(&["Austin, TX", "", "in your heart", "Austin, TX"]);
    assert_eq!(locate(geocoder, "Austin, TX"), before);
}

fn a_point_keeps_its_own_coordinates(geocoder: &dyn Geocoder) {
    let place = geocoder.nearest(MUNICH).expect("answers").expect("a town is near");
    assert_eq!((place.name.as_str(), place.country.as_str(), place.coordinates), ("Munich", "DE", MUNICH));
    holds_together(&place);
    let atlantic = Coordinates { lat: 0.0, lon: -30.0 };
    assert_eq!(geocoder.nearest(atlantic).expect("answers"), None, "nothing is near in the open sea");
}
