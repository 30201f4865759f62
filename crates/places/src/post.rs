//! The place of a post, from everything that comes with it. The surest first: coordinates or a place that the platform
//! attached, then places named in the text, then what the author says about himself. The author's own place is told
//! apart: people write about places where they are not.

use domain::{Coordinates, Geocoder, Place, PlaceFrom, PlaceHints, Result};

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

/// Everything about a post that says where it belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clues<'a> {
    /// Coordinates attached to the post.
    pub geotag: Option<Coordinates>,
    /// Name of the place attached to the post.
    pub place_name: Option<&'a str>,
    /// The locations named in its text, in order.
    pub entities: &'a [&'a str],
    /// The author's location line.
    pub profile: Option<&'a str>,
    /// Language of the post, ISO 639-1.
    pub language: Option<&'a str>,
}

/// The places of a post, by an engine.
///
/// # Errors
/// The engine's own, when it can't answer now.
pub fn of_post(engine: &dyn Geocoder, clues: &Clues<'_>) -> Result<PostPlaces> {
    let hints = PlaceHints { language: clues.language, country: None };
    let first = |text: &str, hints: &PlaceHints<'_>| engine.locate(text, hints).map(|found| found.into_iter().next());
    let author_place = clues.profile.map_or(Ok(None), |line| first(line, &hints))?;
    let near = PlaceHints { country: author_place.as_ref().map(|place| place.country.as_str()), ..hints };
    let mut place = clues.geotag.map_or(Ok(None), |point| engine.nearest(point))?;
    if place.is_none() {
        place = clues.place_name.map_or(Ok(None), |name| first(name, &near))?;
    }
    let mut place = place.map(|place| (place, PlaceFrom::Geotag));
    if place.is_none() {
        place = of_entities(engine, clues.entities, &near)?.map(|place| (place, PlaceFrom::Text));
    }
    let place = place.or_else(|| author_place.clone().map(|place| (place, PlaceFrom::Profile)));
    Ok(PostPlaces { place, author_place })
}

/// Places named in one text settle each other: "Paris" and "Texas" are read as "Paris, Texas".
fn of_entities(engine: &dyn Geocoder, entities: &[&str], hints: &PlaceHints<'_>) -> Result<Option<Place>> {
    let entities = &entities[..entities.len().min(ENTITIES_MAX)];
    if entities.is_empty() {
        return Ok(None);
    }
    let joined = engine.locate(&entities.join(", "), hints)?;
    let sure = joined.into_iter().filter(|place| place.confidence >= TEXT_CONFIDENCE_MIN);
    Ok(sure.reduce(|best, next| if next.confidence > best.confidence { next } else { best }))
}
