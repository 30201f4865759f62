//! The understanding stage with its optional engines: what they say stands in the post, what they can't say is told.

use domain::topic::TopicMatcher;
use domain::{
    Coordinates, Enricher, Enrichment, Error, Geocoder, Language, Place, PlaceHints, Post, Result, Translator,
    Untranslated,
};
use pipeline::Understand;
use places::Gazetteer;
use std::sync::Arc;
use testkit::posts;

/// The language of a text is its first word.
struct Polyglot;

impl Enricher for Polyglot {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        let read = |post: &Post| {
            let code = post.text.split(' ').next().unwrap_or_default().to_owned();
            let text_en = (code == "en").then(|| post.text.clone());
            match code.as_str() {
                "bad" => Err(Error::reject("not a text")),
                _ => Ok(Enrichment { language: Language { code, confidence: 1.0 }, text_en, ..Enrichment::default() }),
            }
        };
        posts.iter().map(read).collect()
    }

    fn model(&self) -> &str {
        "polyglot"
    }
}

/// Knows German only.
struct Dictionary;

impl Translator for Dictionary {
    fn translate(&self, texts: &[Untranslated<'_>]) -> Vec<Result<String>> {
        let answer = |of: &Untranslated<'_>| match of.language {
            "de" => Ok(format!("in English: {}", of.text)),
            other => Err(Error::reject(format!("no {other} here"))),
        };
        texts.iter().map(answer).collect()
    }
}

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
    Understand::new(Arc::new(Polyglot), Gazetteer::embedded().unwrap(), TopicMatcher::new(vec![]).unwrap())
}

#[test]
fn each_post_gets_its_own_english_or_the_reason_why_not() {
    let texts = ["en hello", "de hallo", "bad", "es hola", "und 🎉", "de tschüss"];
    let posts = texts.iter().enumerate().map(|(n, text)| posts::post(&n.to_string(), text)).collect();
    let understood = stage().with_translator(Arc::new(Dictionary)).posts(posts, testkit::posts::noon());
    let said: Vec<Option<(Option<&str>, &[String])>> = understood
        .iter()
        .map(|post| post.as_ref().ok().map(|p| (p.enrichment.text_en.as_deref(), p.enrichment.issues.as_slice())))
        .collect();
    let no_spanish = ["translation: no es here".to_owned()];
    assert_eq!(
        said,
        [
            Some((Some("en hello"), [].as_slice())),
            Some((Some("in English: de hallo"), &[])),
            None,
            Some((None, &no_spanish)),
            Some((None, &[])),
            Some((Some("in English: de tschüss"), &[])),
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
