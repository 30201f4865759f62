//! Places by Amazon Location (the `geo-places` service, version 2): the optional engine beside the embedded gazetteer.
//! Relies on `reqwest`; speaks `POST /v2/geocode` and `POST /v2/reverse-geocode` with an API key, which needs no SDK and
//! no request signing. Answers are kept in the lake, so every call says `IntendedUse: Storage`, as Amazon's terms ask.
//!
//! The port is synchronous and the network is not: one thread of its own holds the client. What a batch will ask is
//! fetched side by side ([`Geocoder::prepare`]); answers are kept, because the same lines come again and each call costs
//! money. After a failure the service is left alone for a while, so that an outage delays no post.

mod answer;
mod kept;
mod service;

use domain::{Coordinates, Error, ErrorKind, Geocoder, Place, PlaceHints, Result};
use kept::Kept;
use secrecy::SecretString;
use service::{Question, Service};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How the service is reached.
#[derive(Debug, Clone)]
pub struct Config {
    /// `https://places.geo.<region>.amazonaws.com`, or another address that speaks the same protocol.
    pub endpoint: String,
    /// An API key that allows `geo-places:Geocode` and `geo-places:ReverseGeocode`.
    pub key: SecretString,
    /// For one call.
    pub timeout: Duration,
    /// How long the service is left alone after a failure.
    pub rest: Duration,
    /// Answers that are remembered.
    pub kept_max: usize,
    /// Calls under way at once: the service's own limit is 100 a second.
    pub calls_max: usize,
}

impl Config {
    /// The service of an AWS region.
    pub fn new(region: &str, key: SecretString) -> Self {
        Self {
            endpoint: format!("https://places.geo.{region}.amazonaws.com"),
            key,
            timeout: Duration::from_secs(5),
            rest: Duration::from_secs(30),
            kept_max: 100_000,
            calls_max: 16,
        }
    }
}

/// The engine. Shared freely between threads.
pub struct AmazonLocation {
    service: Service,
    kept: Mutex<Kept>,
    /// Until when the service is left alone, and why.
    resting: Mutex<Option<(Instant, String)>>,
    rest: Duration,
}

impl AmazonLocation {
    /// Starts the thread that holds the client; calls nothing yet.
    ///
    /// # Errors
    /// Kind `Stop` when the client or its thread can't be made.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            service: Service::start(config)?,
            kept: Mutex::new(Kept::new(config.kept_max)),
            resting: Mutex::default(),
            rest: config.rest,
        })
    }

    /// Answers from memory, else from the service.
    fn ask(&self, question: &Question) -> Result<Vec<Place>> {
        if let Some(places) = lock(&self.kept).get(question) {
            return Ok(places);
        }
        self.fetch(vec![question.clone()])?;
        Ok(lock(&self.kept).get(question).unwrap_or_default())
    }

    /// Asks the service and remembers what it said. A failure of the service ends it, the refusal of one question
    /// does not; the first error is given back.
    fn fetch(&self, questions: Vec<Question>) -> Result<()> {
        if let Some((until, why)) = lock(&self.resting).as_ref()
            && Instant::now() < *until
        {
            return Err(Error::retry(why.clone()));
        }
        let mut refused = Ok(());
        for (question, answer) in self.service.ask(questions)? {
            match answer {
                Ok(places) => lock(&self.kept).put(question, places),
                Err(error) if error.kind() != ErrorKind::Retry => refused = refused.and(Err(error)),
                Err(error) => {
                    tracing::warn!(%error, rest_s = self.rest.as_secs(), "amazon location is left alone for a while");
                    *lock(&self.resting) = Some((Instant::now() + self.rest, error.to_string()));
                    return Err(error);
                }
            }
        }
        refused
    }
}

impl Geocoder for AmazonLocation {
    fn prepare(&self, texts: &[&str]) {
        let mut questions: Vec<Question> = texts.iter().filter_map(|text| Question::text(text)).collect();
        questions.sort_unstable();
        questions.dedup();
        questions.retain(|question| lock(&self.kept).get(question).is_none());
        if !questions.is_empty() {
            // Told again, and once more in the log, to whoever asks for one of them.
            drop(self.fetch(questions));
        }
    }

    fn locate(&self, text: &str, _: &PlaceHints<'_>) -> Result<Vec<Place>> {
        Question::text(text).map_or(Ok(Vec::new()), |question| self.ask(&question))
    }

    fn nearest(&self, point: Coordinates) -> Result<Option<Place>> {
        let found = self.ask(&Question::point(point))?;
        // The point stays the post's own.
        Ok(found.into_iter().next().map(|place| Place { coordinates: point, ..place }))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
