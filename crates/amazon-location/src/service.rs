//! The thread that holds the client. Questions go in as a batch and are asked side by side.

use crate::Config;
use crate::answer::Answer;
use domain::{Coordinates, Error, ErrorKind, Place, Result};
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The service refuses longer texts (API reference of `Geocode`, `QueryText`).
const TEXT_MAX_CHARS: usize = 200;
/// Batches that wait for the thread; more make their callers wait.
const WAITING_MAX: usize = 16;

/// What is asked; equal questions have equal answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Question {
    Text(String),
    /// Latitude and longitude in thousandths of a degree, about 100 m: posts from one place share an answer.
    Point(i32, i32),
}

impl Question {
    /// None where there is nothing to ask.
    pub(crate) fn text(text: &str) -> Option<Self> {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT_MAX_CHARS).collect();
        text.chars().any(char::is_alphabetic).then(|| Self::Text(text.to_lowercase()))
    }

    pub(crate) fn point(point: Coordinates) -> Self {
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

type Answered = (Question, Result<Vec<Place>>);

struct Batch {
    questions: Vec<Question>,
    answer: std::sync::mpsc::Sender<Vec<Answered>>,
}

/// Hands batches to the thread.
pub(crate) struct Service {
    batches: mpsc::Sender<Batch>,
}

impl Service {
    pub(crate) fn start(config: &Config) -> Result<Self> {
        let stop = |what: &str, error: String| Error::stop(format!("{what} for amazon location: {error}"));
        let client = reqwest::Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| stop("make a client", error.to_string()))?;
        let caller = Arc::new(Caller {
            client,
            endpoint: config.endpoint.trim_end_matches('/').into(),
            key: config.key.clone(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| stop("make a runtime", error.to_string()))?;
        let (batches, waiting) = mpsc::channel(WAITING_MAX);
        let calls_max = config.calls_max.max(1);
        std::thread::Builder::new()
            .name("amazon-location".into())
            .spawn(move || runtime.block_on(serve(caller, waiting, calls_max)))
            .map_err(|error| stop("start a thread", error.to_string()))?;
        Ok(Self { batches })
    }

    /// Asks all and waits for the answers. After a failure of the service the rest of the batch is not asked.
    pub(crate) fn ask(&self, questions: Vec<Question>) -> Result<Vec<Answered>> {
        let (answer, answered) = std::sync::mpsc::channel();
        let gone = || Error::retry("the thread of amazon location has ended");
        let mut batch = Batch { questions, answer };
        loop {
            // The caller's thread may belong to a runtime, where the channel's own blocking call would panic.
            match self.batches.try_send(batch) {
                Ok(()) => return answered.recv().map_err(|_| gone()),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(gone()),
                Err(mpsc::error::TrySendError::Full(back)) => batch = back,
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

async fn serve(caller: Arc<Caller>, mut waiting: mpsc::Receiver<Batch>, calls_max: usize) {
    while let Some(batch) = waiting.recv().await {
        let mut calls = futures::stream::iter(batch.questions)
            .map(|question| async {
                let answer = caller.call(&question).await;
                (question, answer)
            })
            .buffer_unordered(calls_max);
        let mut answers = Vec::new();
        while let Some(answered) = calls.next().await {
            let failed = answered.1.as_ref().is_err_and(|error| error.kind() == ErrorKind::Retry);
            answers.push(answered);
            if failed {
                break;
            }
        }
        // Whoever asked may have stopped waiting.
        drop(batch.answer.send(answers));
    }
}

struct Caller {
    client: reqwest::Client,
    endpoint: String,
    key: SecretString,
}

impl Caller {
    async fn call(&self, question: &Question) -> Result<Vec<Place>> {
        // The address holds the key: no error may show it.
        let failed = |error: reqwest::Error| Error::retry(format!("amazon location: {}", error.without_url()));
        let url = format!("{}{}?key={}", self.endpoint, question.path(), self.key.expose_secret());
        let response = self.client.post(url).json(&question.body()).send().await.map_err(failed)?;
        let status = response.status();
        if status == reqwest::StatusCode::BAD_REQUEST {
            // The refusal of one line says nothing about the service.
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
