//! Places by Amazon Location (the `geo-places` service, version 2), asked before the embedded gazetteer. Speaks
//! `POST /v2/geocode` and `POST /v2/reverse-geocode` with an API key, which needs no SDK and no request signing. Answers
//! are kept in the lake, so every call says `IntendedUse: Storage`, as Amazon's terms ask.

mod answer;

use crate::asking::{Asking, Limits, Service, client};
use answer::Answer;
use domain::{Coordinates, Error, ErrorKind, Geocoder, Place, PlaceHints, Result};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// The service refuses longer texts (API reference of `Geocode`, `QueryText`).
const TEXT_MAX_CHARS: usize = 200;

/// How the service is reached.
#[derive(Debug, Clone)]
pub struct AmazonLocationConfig {
    /// `https://places.geo.<region>.amazonaws.com`, or another address that speaks the same protocol.
    pub endpoint: String,
    /// An API key that allows `geo-places:Geocode` and `geo-places:ReverseGeocode`.
    pub key: SecretString,
    pub limits: Limits,
}

impl AmazonLocationConfig {
    /// The service of an AWS region.
    pub fn new(region: &str, key: SecretString) -> Self {
        Self {
            endpoint: format!("https://places.geo.{region}.amazonaws.com"),
            key,
            limits: Limits {
                timeout: Duration::from_secs(5),
                rest: Duration::from_secs(30),
                kept_max: 100_000,
                // The service's own limit is 100 calls a second.
                calls_max: 16,
            },
        }
    }
}

/// The engine. Shared freely between threads.
pub struct AmazonLocation {
    asking: Asking<GeoPlaces>,
}

impl AmazonLocation {
    /// Starts the thread that holds the client; calls nothing yet.
    ///
    /// # Errors
    /// Kind `Stop` when the client or its thread can't be made.
    pub fn new(config: &AmazonLocationConfig) -> Result<Self> {
        let service = GeoPlaces {
            client: client(&config.limits)?,
            endpoint: config.endpoint.trim_end_matches('/').into(),
            key: config.key.clone(),
        };
        Ok(Self { asking: Asking::start(service, &config.limits)? })
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

    fn path(&self) -> &'static str {
        match self {
            Self::Text(_) => "/v2/geocode",
            Self::Point(..) => "/v2/reverse-geocode",
        }
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
    client: reqwest::Client,
    endpoint: String,
    key: SecretString,
}

impl Service for GeoPlaces {
    type Question = Question;
    type Answer = Vec<Place>;

    fn name(&self) -> &'static str {
        "amazon location"
    }

    async fn call(&self, question: &Question) -> Result<Vec<Place>> {
        // The address holds the key: no error may show it.
        let failed = |error: reqwest::Error| Error::retry(format!("amazon location: {}", error.without_url()));
        let url = format!("{}{}?key={}", self.endpoint, question.path(), self.key.expose_secret());
        let response = self.client.post(url).json(&question.body()).send().await.map_err(failed)?;
        let status = response.status();
        if status == reqwest::StatusCode::BAD_REQUEST {
            return Err(Error::reject(format!("amazon location answered {status} to {question:?}")));
        }
        if !status.is_success() {
            let advice = match status.as_u16() {
                401 | 403 => ": the API key must allow geo-places:Geocode and geo-places:ReverseGeocode",
                429 => ": too many calls",
                _ => "",
            };
            return Err(Error::new(ErrorKind::Retry, format!("amazon location answered {status}{advice}")));
        }
        Ok(question.places(response.json::<Answer>().await.map_err(failed)?))
    }
}
