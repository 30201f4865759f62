//! Fakes of the ports that read, translate, locate and notify. They keep the promises of the conformance suites.

use async_trait::async_trait;
use domain::{
    Coordinates, Enricher, Enrichment, Error, ErrorKind, Geocoder, Language, Notification, Notifier, Place, PlaceHints,
    PlaceKind, Post, Result, Translator, Untranslated,
};
use std::sync::{Mutex, PoisonError};

/// Takes the first word of a text for its language (`de hallo`). Rejects texts that begin with `bad`.
pub struct FakeEnricher;

impl Enricher for FakeEnricher {
    fn enrich(&self, posts: &[Post]) -> Vec<Result<Enrichment>> {
        let read = |post: &Post| {
            let code = post.text.split(' ').next().filter(|word| !word.is_empty()).unwrap_or("und");
            if code == "bad" {
                return Err(Error::reject("not a text"));
            }
            let language = Language { code: code.to_owned(), confidence: 1.0 };
            let text_en = (code == "en").then(|| post.text.clone());
            Ok(Enrichment { language, text_en, model: self.model().to_owned(), ..Enrichment::default() })
        };
        posts.iter().map(read).collect()
    }

    fn model(&self) -> &str {
        "fake"
    }
}

/// Translates German and Spanish by naming the language (`de: hallo`), rejects all others.
pub struct FakeTranslator;

impl Translator for FakeTranslator {
    fn translate(&self, texts: &[Untranslated<'_>]) -> Vec<Result<String>> {
        let answer = |of: &Untranslated<'_>| match of.language {
            "de" | "es" => Ok(format!("{}: {}", of.language, of.text)),
            other => Err(Error::reject(format!("{other} is not supported"))),
        };
        texts.iter().map(answer).collect()
    }
}

/// Knows Austin by name, and Munich by its coordinates.
pub struct FakeGeocoder;

impl Geocoder for FakeGeocoder {
    fn locate(&self, text: &str, _: &PlaceHints<'_>) -> Result<Vec<Place>> {
        let austin = || place("Austin", "US", "Texas", "TX", Coordinates { lat: 30.27, lon: -97.74 });
        Ok(text.to_lowercase().starts_with("austin").then(austin).into_iter().collect())
    }

    fn nearest(&self, point: Coordinates) -> Result<Option<Place>> {
        let is_munich = (point.lat - 48.1).abs() < 0.5 && (point.lon - 11.6).abs() < 0.5;
        Ok(is_munich.then(|| place("Munich", "DE", "Bavaria", "BY", point)))
    }
}

fn place(name: &str, country: &str, region: &str, code: &str, coordinates: Coordinates) -> Place {
    Place {
        name: name.to_owned(),
        country: country.to_owned(),
        region: Some(region.to_owned()),
        region_code: Some(code.to_owned()),
        coordinates,
        kind: PlaceKind::City,
        confidence: 0.9,
    }
}

/// A channel that keeps what it is given, or fails as it is told.
pub struct FakeNotifier {
    channel: String,
    got: Mutex<Vec<Notification>>,
    failure: Mutex<Option<ErrorKind>>,
}

impl FakeNotifier {
    pub fn new(channel: impl Into<String>) -> Self {
        Self { channel: channel.into(), got: Mutex::default(), failure: Mutex::default() }
    }

    /// From now on every delivery fails like this; none: deliveries succeed.
    pub fn fails(&self, kind: Option<ErrorKind>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = kind;
    }

    /// What was delivered, in order.
    pub fn got(&self) -> Vec<Notification> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for FakeNotifier {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        if let Some(kind) = *self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Error::new(kind, "the channel fails"));
        }
        self.got.lock().unwrap_or_else(PoisonError::into_inner).push(notification.clone());
        Ok(())
    }
}
