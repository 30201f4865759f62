//! Any text and any point: no panic, and what comes out is a place of one country with a name.
#![no_main]

use domain::Coordinates;
use libfuzzer_sys::fuzz_target;
use places::{Gazetteer, Hints, geocode_line};

fuzz_target!(|data: &[u8]| {
    let gazetteer = Gazetteer::embedded().expect("the embedded index is whole");
    if let Ok(text) = std::str::from_utf8(data) {
        for place in gazetteer.locate(text, &Hints::default()) {
            assert!(place.country.len() == 2 && !place.name.is_empty());
        }
        assert!(!geocode_line(gazetteer, text, &Hints::default()).contains('\n'));
    }
    if let Some((lat, rest)) = data.split_first_chunk::<8>()
        && let Some((lon, _)) = rest.split_first_chunk::<8>()
    {
        let point = Coordinates { lat: f64::from_le_bytes(*lat), lon: f64::from_le_bytes(*lon) };
        if let Some(place) = gazetteer.nearest(point) {
            assert_eq!(place.coordinates, point);
        }
    }
});
