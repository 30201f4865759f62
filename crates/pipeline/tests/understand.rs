//! The understanding stage with its optional engines: what they say stands in the post, what they can't say is told.

use domain::topic::TopicMatcher;
use domain::{Coordinates, Error, Geocoder, Place, PlaceHints, Result};
use pipeline::Understand;
use places::Gazetteer;
use std::sync::Arc;
use testkit::{FakeEnricher, FakeTranslator, posts};

/// Never answers.
struct Away;

impl Geocoder for Away {
    fn locate(&self, _: &str, _: &PlaceHints<'_>) -> Result<Vec<Place>> {
        Err(Error::retry("nobody there"))
    }

    fn nearest(&self, _: Coordinates) -> Result<Option<Place>> {
        Err(Error::retry("nobody there"))
    }
}

fn stage() -> Understand {
    Understand::new(Arc::new(FakeEnricher), Gazetteer::embedded().unwrap(), TopicMatcher::new(vec![]).unwrap())
}

#[test]
fn each_post_gets_its_own_english_or_the_reason_why_not() {
    let texts = ["en hello", "de hallo", "bad", "tlh nuqneH", "und 🎉", "de tschüss"];
    let posts = texts.iter().enumerate().map(|(n, text)| posts::post(&n.to_string(), text)).collect();
    let understood = stage().with_translator(Arc::new(FakeTranslator)).posts(posts, testkit::posts::noon());
    let said: Vec<Option<(Option<&str>, &[String])>> = understood
        .iter()
        .map(|post| post.as_ref().ok().map(|p| (p.enrichment.text_en.as_deref(), p.enrichment.issues.as_slice())))
        .collect();
    let no_klingon = ["translation: tlh is not supported".to_owned()];
    assert_eq!(
        said,
        [
            Some((Some("en hello"), [].as_slice())),
            Some((Some("de: de hallo"), &[])),
            None,
            Some((None, &no_klingon)),
            Some((None, &[])),
            Some((Some("de: de tschüss"), &[])),
        ]
    );
}

#[test]
fn without_an_engine_for_places_that_answers_the_gazetteer_does() {
    let understood = stage().with_geocoder(Arc::new(Away)).posts(vec![posts::post("1", "en hi")], posts::noon());
    let post = understood[0].as_ref().unwrap();
    assert_eq!(post.author_place.as_ref().map(|place| place.name.as_str()), Some("Berlin"));
    assert_eq!(post.enrichment.issues, ["places by the embedded gazetteer: nobody there"]);
}
