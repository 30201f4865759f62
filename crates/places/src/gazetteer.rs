//! The gazetteer: the one thing that other rooms see of this one.

use crate::coordinates::coordinates_in;
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
        // What programs write for nothing; some of it is a place's name ("Nan" in Thailand).
        if domain::markup::is_missing(text) {
            return Vec::new();
        }
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
