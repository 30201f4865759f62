//! The gazetteer: the one thing that other rooms see of this one.

use crate::index::{Index, PlaceId};
use crate::mention::{self, Mention};
use crate::nearest::nearest;
use crate::resolve::{Found, resolve};
use crate::text::{Kind, Words};
use crate::{Error, Hints};
use domain::{Coordinates, Geocoder, Place, PlaceKind};
use std::cell::RefCell;
use std::sync::OnceLock;

/// Finds places by name and by coordinates. Shared freely between threads.
pub struct Gazetteer {
    index: Index<'static>,
}

impl std::fmt::Debug for Gazetteer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gazetteer").field("cities", &self.index.city_count()).finish_non_exhaustive()
    }
}

/// Compiled by `build/extract.py` and `examples/build_index.rs`; sources and licences are in `data/README.md`.
static EMBEDDED: &[u8] = include_bytes!("../data/places.idx");

/// What one thread needs to read a line; kept, so that a line needs no new memory.
#[derive(Default)]
struct Scratch {
    words: Words,
    mentions: Vec<Mention>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Gazetteer {
    /// The index that is part of the binary. The first call checks its frame; it is read in place.
    ///
    /// # Errors
    /// Only when the binary was built with a broken index.
    pub fn embedded() -> Result<&'static Self, Error> {
        static GAZETTEER: OnceLock<Gazetteer> = OnceLock::new();
        if let Some(ready) = GAZETTEER.get() {
            return Ok(ready);
        }
        let opened = Self::from_bytes(EMBEDDED)?;
        Ok(GAZETTEER.get_or_init(|| opened))
    }

    /// A gazetteer over an index of your own (`compile` makes one).
    ///
    /// # Errors
    /// [`Error::Index`] when the bytes are no index of this version.
    pub fn from_bytes(bytes: &'static [u8]) -> Result<Self, Error> {
        Ok(Self { index: Index::open(bytes)? })
    }

    /// The places that a free text names, such as the location line of a profile, the best first; empty when nothing
    /// can be known. Coordinates in the text count before names.
    pub fn locate(&self, text: &str, hints: &Hints<'_>) -> Vec<Place> {
        if let Some(point) = coordinates_in(text) {
            return self.nearest(point).into_iter().collect();
        }
        let found = SCRATCH.with_borrow_mut(|scratch| {
            scratch.words.read(text);
            if !scratch.words.tokens.iter().any(|t| matches!(t.kind, Kind::Word | Kind::Flag)) {
                return Vec::new();
            }
            mention::find(&self.index, &scratch.words, &mut scratch.mentions);
            resolve(&self.index, &scratch.words, &scratch.mentions, *hints)
        });
        found.into_iter().map(|found| self.place(found)).collect()
    }

    /// The place that a point lies in; none in open sea and other places far from any town. The coordinates given back
    /// are the point's own.
    pub fn nearest(&self, point: Coordinates) -> Option<Place> {
        let point = Coordinates::checked(point.lat, point.lon)?;
        let (id, km) = nearest(&self.index, point)?;
        // In the town: sure. Farther out the country still is likely, the town less so.
        let confidence = (0.98 - km as f32 / 250.0).max(0.3);
        Some(Place { coordinates: point, ..self.place(Found { place: id, confidence }) })
    }

    fn place(&self, found: Found) -> Place {
        let (index, id) = (&self.index, found.place);
        let region = index.region(id).filter(|&r| !index.name(r).is_empty());
        Place {
            name: index.name(id).to_owned(),
            country: index.country_code(id).to_owned(),
            region: region.map(|r| index.name(r).to_owned()),
            region_code: region.map(|r| index.region_code(r)).filter(|code| !code.is_empty()).map(str::to_owned),
            coordinates: index.coordinates(id),
            kind: index.kind(id),
            confidence: found.confidence.clamp(0.0, 1.0),
        }
    }

    /// How many places the index knows, by kind.
    pub fn count(&self, kind: PlaceKind) -> u32 {
        match kind {
            PlaceKind::Country => self.index.country_count(),
            PlaceKind::Region => self.index.region_count(),
            PlaceKind::City => self.index.city_count(),
            PlaceKind::Point => 0,
        }
    }

    /// A place by its number (countries, then regions, then cities), for tests that look at all of them.
    pub fn nth(&self, number: u32) -> Option<Place> {
        let total = self.index.country_count() + self.index.region_count() + self.index.city_count();
        (number < total).then(|| self.place(Found { place: PlaceId(number), confidence: 1.0 }))
    }
}

impl Geocoder for Gazetteer {
    fn locate(&self, text: &str, hints: &Hints<'_>) -> domain::Result<Vec<Place>> {
        Ok(Self::locate(self, text, hints))
    }

    fn nearest(&self, point: Coordinates) -> domain::Result<Option<Place>> {
        Ok(Self::nearest(self, point))
    }
}

/// A pair of coordinates as phones and people write them ("ÜT: 40.96513,-73.872957", "42.3806° N, 71.2350° W",
/// "N 40°39' 0'' / W 73°55' 0''"). Decimal numbers need a point, so that a list of whole numbers is not taken for one;
/// 0,0 is what a phone without a fix writes.
fn coordinates_in(text: &str) -> Option<Coordinates> {
    let point = if text.contains('°') { degrees_in(text)? } else { decimals_in(text)? };
    (point.lat != 0.0 || point.lon != 0.0).then_some(point)
}

fn decimals_in(text: &str) -> Option<Coordinates> {
    let comma = text.find(',')?;
    let (before, after) = (text[..comma].trim_end(), text[comma + 1..].trim_start());
    let lat = before.rsplit(|c: char| !is_number_char(c)).next()?;
    let lon = after.split(|c: char| !is_number_char(c)).next()?;
    if !lat.contains('.') || !lon.contains('.') {
        return None;
    }
    Coordinates::checked(lat.parse().ok()?, lon.parse().ok()?)
}

/// Degrees, perhaps minutes and seconds, with a letter for the direction before or after.
fn degrees_in(text: &str) -> Option<Coordinates> {
    let mut halves = text.split(['/', ',']);
    let (lat, lon) = (halves.next()?, halves.next()?);
    if halves.next().is_some() {
        return None;
    }
    Coordinates::checked(angle(lat, 'N', 'S')?, angle(lon, 'E', 'W')?)
}

fn angle(text: &str, plus: char, minus: char) -> Option<f64> {
    let sign = match (text.contains(plus), text.contains(minus)) {
        (true, false) => 1.0,
        (false, true) => -1.0,
        _ => return None,
    };
    let mut unit = 1.0;
    let mut sum = 0.0;
    for number in text.split(|c: char| !is_number_char(c)).filter(|n| !n.is_empty()).take(3) {
        sum += number.parse::<f64>().ok()? * unit;
        unit /= 60.0;
    }
    Some(sign * sum)
}

fn is_number_char(c: char) -> bool {
    c.is_ascii_digit() || c == '.' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_of_phones_are_read() {
        let point = coordinates_in("ÜT: 40.96513,-73.872957").unwrap();
        assert_eq!((point.lat, point.lon), (40.96513, -73.872957));
        assert_eq!(coordinates_in("39.149054,  -77.273589").unwrap().lat, 39.149054);
        let point = coordinates_in("42.3806° N, 71.2350° W").unwrap();
        assert_eq!((point.lat, point.lon), (42.3806, -71.235));
        let point = coordinates_in("N 40°39' 0'' / W 73°55' 0''").unwrap();
        assert!((point.lat - 40.65).abs() < 1e-9 && (point.lon + 73.9166).abs() < 1e-3);
        assert_eq!(coordinates_in("10° of separation, 5° of heat"), None);
        assert_eq!(coordinates_in("iPhone: 0.000000,0.000000"), None);
        assert_eq!(coordinates_in("Austin, TX"), None);
        assert_eq!(coordinates_in("1.5,2"), None);
        assert_eq!(coordinates_in("95.1,10.2"), None);
    }
}
