//! Places by Amazon Location (the `geo-places` service, version 2), asked before the embedded gazetteer. Speaks
//! `POST /v2/geocode` and `POST /v2/reverse-geocode`, with an API key or with signed requests. Answers
//! are kept in the lake, so every call says `IntendedUse: Storage`, as Amazon's terms ask.

mod answer;

use crate::asking::{Asking, Limits, Service, client};
use answer::Answer;
use aws::{Client, places};
use domain::{Clock, Coordinates, Error, Geocoder, Place, PlaceHints, Result};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The service refuses longer texts (API reference of `Geocode`, `QueryText`).
const TEXT_MAX_CHARS: usize = 200;

/// The engine. Shared freely between threads.
pub struct AmazonLocation {
    asking: Asking<GeoPlaces>,
}

impl AmazonLocation {
    /// Starts the thread that holds the client; calls nothing yet. `key`: an API key that allows `geo-places:Geocode` and
    /// `geo-places:ReverseGeocode`; without one, calls are signed with the credentials of the settings.
    ///
    /// # Errors
    /// Kind `Stop` when the client or its thread can't be made.
    pub fn new(
        settings: &aws::Settings,
        key: Option<SecretString>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self> {
        let credentials = settings.credentials.clone().filter(|_| key.is_none());
        let settings = aws::Settings { credentials, ..settings.clone() };
        let client = Client::new(aws::Service::Places, &settings, client(limits)?, clock)?;
        Ok(Self { asking: Asking::start(GeoPlaces { client, key }, limits)? })
    }

    /// How hard the service is asked unless somebody says otherwise.
    pub fn limits() -> Limits {
        Limits {
            timeout: Duration::from_secs(5),
            rest: Duration::from_secs(30),
            kept_max: 100_000,
            // The service's own limit is 100 calls a second.
            calls_max: 16,
        }
    }
}

impl Geocoder for AmazonLocation {
    fn prepare(&self, texts: &[&str]) {
        // A failure is told again, and once more in the log, to whoever asks for one of them.
        drop(self.asking.ask_all(texts.iter().filter_map(|text| Question::text(text)).collect()));
    }

    fn locate(&self, text: &str, _: &PlaceHints<'_>) -> Result<Vec<Place>> {
        Question::text(text).map_or(Ok(Vec::new()), |question| self.asking.ask(question))
    }

    fn nearest(&self, point: Coordinates) -> Result<Option<Place>> {
        let found = self.asking.ask(Question::point(point))?;
        // The point stays the post's own.
        Ok(found.into_iter().next().map(|place| Place { coordinates: point, ..place }))
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Question {
    Text(String),
    /// Latitude and longitude in thousandths of a degree, about 100 m: posts from one place share an answer.
    Point(i32, i32),
}

impl Question {
    /// None where there is nothing to ask.
    fn text(text: &str) -> Option<Self> {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT_MAX_CHARS).collect();
        text.chars().any(char::is_alphabetic).then(|| Self::Text(text.to_lowercase()))
    }

    fn point(point: Coordinates) -> Self {
        let thousandths = |degrees: f64| (degrees * 1_000.0).round() as i32;
        Self::Point(thousandths(point.lat), thousandths(point.lon))
    }

    fn body(&self) -> Value {
        match self {
            Self::Text(text) => json!({"QueryText": text, "MaxResults": 3, "Language": "en", "IntendedUse": "Storage"}),
            Self::Point(lat, lon) => json!({
                "QueryPosition": [f64::from(*lon) / 1_000.0, f64::from(*lat) / 1_000.0],
                "MaxResults": 1, "Language": "en", "IntendedUse": "Storage",
            }),
        }
    }

    fn places(&self, answer: Answer) -> Vec<Place> {
        match self {
            Self::Text(_) => answer.of_text(),
            Self::Point(..) => answer.of_point(),
        }
    }
}

struct GeoPlaces {
    client: Client,
    key: Option<SecretString>,
}

impl Service for GeoPlaces {
    type Question = Question;
    type Answer = Vec<Place>;

    fn name(&self) -> &'static str {
        "amazon location"
    }

    async fn call(&self, questions: &[Question]) -> Vec<Result<Vec<Place>>> {
        futures::future::join_all(questions.iter().map(|question| self.find(question))).await
    }
}

impl GeoPlaces {
    async fn find(&self, question: &Question) -> Result<Vec<Place>> {
        let (key, body) = (self.key.as_ref(), question.body());
        let answer = match question {
            Question::Text(_) => places::geocode(&self.client, key, &body).await?,
            Question::Point(..) => places::reverse_geocode(&self.client, key, &body).await?,
        };
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|error| Error::retry(format!("amazon location's answer can't be read: {error}")))?;
        Ok(question.places(answer))
    }
}
