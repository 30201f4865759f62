//! The place of a post, from everything that comes with it. The surest first: coordinates or a place that the platform
//! attached, then places named in the text, then what the author says about himself. The author's own place is told
//! apart: people write about places where they are not.

use crate::gazetteer::{Gazetteer, Hints};
use domain::{Coordinates, Place, PlaceFrom};

/// Where a post belongs, and where its author says he lives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PostPlaces {
    /// The place of the post and from what it was found.
    pub place: Option<(Place, PlaceFrom)>,
    /// The author's place, from the location line alone.
    pub author_place: Option<Place>,
}

/// A place named in a text counts as the post's place from here on; below, the author's own line is the better guess.
const TEXT_CONFIDENCE_MIN: f32 = 0.5;
/// No post names more places that matter.
const ENTITIES_MAX: usize = 8;

impl Gazetteer {
    /// The places of a post: `geotag` its coordinates, `place_name` the name of the place attached to it,
    /// `place_entities` the locations named in its text in order, `profile` the author's location line, `language` the
    /// language of the post (ISO 639-1).
    pub fn place_of_post(
        &self,
        geotag: Option<Coordinates>,
        place_name: Option<&str>,
        place_entities: &[&str],
        profile: Option<&str>,
        language: Option<&str>,
    ) -> PostPlaces {
        let hints = Hints { language, country: None };
        let first = |text: &str, hints: &Hints<'_>| self.locate(text, hints).into_iter().next();
        let author_place = profile.and_then(|line| first(line, &hints));
        let near = Hints { language, country: author_place.as_ref().map(|place| place.country.as_str()) };
        let place = geotag
            .and_then(|point| self.nearest(point))
            .or_else(|| place_name.and_then(|name| first(name, &near)))
            .map(|place| (place, PlaceFrom::Geotag))
            .or_else(|| self.place_of_entities(place_entities, &near).map(|place| (place, PlaceFrom::Text)))
            .or_else(|| author_place.clone().map(|place| (place, PlaceFrom::Profile)));
        PostPlaces { place, author_place }
    }

    /// Places named in one text settle each other: "Paris" and "Texas" are read as "Paris, Texas".
    fn place_of_entities(&self, entities: &[&str], hints: &Hints<'_>) -> Option<Place> {
        let entities = &entities[..entities.len().min(ENTITIES_MAX)];
        let joined = self.locate(&entities.join(", "), hints);
        joined
            .into_iter()
            .filter(|place| place.confidence >= TEXT_CONFIDENCE_MIN)
            .reduce(|best, next| if next.confidence > best.confidence { next } else { best })
    }
}
