//! How often the reading of location lines is right: lines of our own making in many scripts, and the lines of 200
//! tweets labelled by hand (looked up by id in the airline data; skipped where that is not at hand).

use domain::{Place, PlaceKind};
use places::{Gazetteer, Hints};
use std::collections::HashMap;
use std::path::PathBuf;

fn best(text: &str) -> Option<Place> {
    Gazetteer::embedded().expect("the embedded index is whole").locate(text, &Hints::default()).into_iter().next()
}

fn is_city(place: &Place, name: &str) -> bool {
    let letters = |t: &str| t.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    letters(&place.name) == letters(name)
}

/// One answer that is accepted: country, region (code or name) and city, each empty where not labelled.
struct Answer<'a> {
    country: &'a str,
    region: &'a str,
    city: &'a str,
}

impl Answer<'_> {
    fn matches(&self, place: &Place) -> bool {
        let region = self.region.is_empty()
            || place.region_code.as_deref() == Some(self.region)
            || place.region.as_deref() == Some(self.region);
        place.country == self.country && (region || (!self.city.is_empty() && is_city(place, self.city)))
    }
}

#[test]
fn lines_in_many_scripts_are_read_and_nonsense_is_not() {
    let mut wrong = Vec::new();
    let lines = include_str!("labels/world.tsv").lines().filter(|line| !line.starts_with("# "));
    for line in lines {
        let (text, label) = line.split_once('\t').unwrap();
        let place = best(text);
        let right = match (label, &place) {
            ("-", found) => found.is_none(),
            (_, None) => false,
            (label, Some(place)) => {
                let mut parts = label.splitn(3, ' ');
                let (country, region, city) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
                place.country == country
                    && (region == "-" || place.region_code.as_deref() == Some(region))
                    && (city == "-" || is_city(place, city))
            }
        };
        if !right {
            wrong.push(format!("{text}: {label}, not {place:?}"));
        }
    }
    assert!(wrong.len() <= 2, "{}", wrong.join("\n"));
}

fn airline_locations() -> Option<HashMap<String, String>> {
    let folder = std::env::var_os("OVERHEARD_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("airline/tweets.jsonl")).ok()?;
    let mut locations = HashMap::new();
    for line in text.lines() {
        let tweet: serde_json::Value = serde_json::from_str(line).ok()?;
        if let (Some(id), Some(location)) = (tweet["id"].as_str(), tweet["user_location"].as_str()) {
            locations.insert(id.to_owned(), location.to_owned());
        }
    }
    Some(locations)
}

#[test]
fn hand_labelled_profiles_are_read_as_well_as_promised() {
    let Some(locations) = airline_locations() else {
        println!("skipped: the airline data is not at hand (set OVERHEARD_DATA)");
        return;
    };
    let (mut answerable, mut answered, mut country, mut place_right, mut nonsense, mut false_answers) =
        (0, 0, 0, 0, 0, 0);
    for line in include_str!("labels/airline_locations.tsv").lines().filter(|line| !line.starts_with('#')) {
        let (id, label) = line.split_once('\t').unwrap();
        let found = best(&locations[id]);
        match (label, found) {
            ("?", _) => {}
            ("-", found) => {
                nonsense += 1;
                false_answers += i32::from(found.is_some());
            }
            (label, found) => {
                answerable += 1;
                let Some(place) = found else { continue };
                answered += 1;
                let mut answers = label.split('|').map(|one| {
                    let mut parts = one.split(';');
                    let mut part = || parts.next().unwrap_or("");
                    Answer { country: part(), region: part(), city: part() }
                });
                country += i32::from(answers.clone().any(|answer| answer.country == place.country));
                place_right += i32::from(answers.any(|answer| answer.matches(&place)));
            }
        }
    }
    println!(
        "country {country}/{answered}, city or region {place_right}/{answered}, answered {answered}/{answerable}, false {false_answers}/{nonsense}"
    );
    let share = |part: i32, whole: i32| f64::from(part) / f64::from(whole);
    assert!(share(country, answered) >= 0.97);
    assert!(share(place_right, answered) >= 0.93);
    assert!(share(answered, answerable) >= 0.85);
    assert!(false_answers <= 1, "{false_answers} of {nonsense}");
}

#[test]
fn a_line_with_two_places_gives_both() {
    let places = Gazetteer::embedded().expect("the embedded index is whole").locate("NY ✈️ LA", &Hints::default());
    let seen: Vec<_> = places.iter().map(|p| (p.region_code.as_deref(), p.kind)).collect();
    assert_eq!(seen, [(Some("NY"), PlaceKind::Region), (Some("CA"), PlaceKind::City)]);
}

#[test]
fn hints_settle_what_a_name_leaves_open() {
    let gazetteer = Gazetteer::embedded().expect("the embedded index is whole");
    let country = |text, language, country| {
        gazetteer.locate(text, &Hints { language, country }).first().map(|place| place.country.clone())
    };
    assert_eq!(country("Georgia", None, None).as_deref(), Some("US"));
    assert_eq!(country("Georgia", Some("ka"), None).as_deref(), Some("GE"));
    assert_eq!(country("Birmingham", None, Some("US")).as_deref(), Some("US"));
    assert_eq!(country("Birmingham", None, None).as_deref(), Some("GB"));
}
