//! Amazon Comprehend and a SageMaker endpoint in small: they check requests as AWS does, fail as AWS does (throttling, single
//! texts of a batch, models that start), and understand a few words.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Limits of Comprehend's batch operations.
const TEXTS_MAX: usize = 25;
const TEXT_BYTES_MAX: usize = 5_000;

/// What both share with the tests.
#[derive(Default)]
pub struct AwsServers {
    /// Every call, by operation.
    calls: Mutex<Vec<(String, Value)>>,
    /// So many calls are refused for their pace from now on.
    pub throttled: AtomicUsize,
    /// So many calls find that the model is not ready.
    pub starting: AtomicUsize,
    /// Texts that failed inside the service before.
    failed: Mutex<HashSet<String>>,
}

impl AwsServers {
    /// The services on a free port, and their address.
    pub fn start() -> (Arc<Self>, String) {
        let state = Arc::new(Self::default());
        let app = Router::new()
            .route("/", post(comprehend))
            .route("/endpoints/{name}/invocations", post(invoke))
            .with_state(state.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        listener.set_nonblocking(true).expect("a socket");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                axum::serve(listener, app).await.expect("served until the test ends");
            });
        });
        (state, address)
    }

    /// How often an operation was called; every one where none is named.
    pub fn calls(&self, operation: &str) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|(name, _)| operation.is_empty() || name == operation).count()
    }

    fn note(&self, operation: &str, body: &Value) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((operation.to_owned(), body.clone()));
    }

    /// Whether one of so many is left.
    fn takes_one(count: &AtomicUsize) -> bool {
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
    }

    /// Whether the text fails inside the service: each time (`poison`), or the first time (`flaky`).
    fn fails_inside(&self, text: &str) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        text.contains("poison") || text.contains("flaky") && failed.insert(text.to_owned())
    }
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, json!({"__type": kind, "Message": message}).to_string()).into_response()
}

fn is_signed(headers: &HeaderMap, service: &str) -> bool {
    let scope = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    scope.starts_with("AWS4-HMAC-SHA256 ") && scope.contains(&format!("/{service}/aws4_request"))
}

async fn comprehend(State(state): State<Arc<AwsServers>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("Comprehend_20171127.").unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    state.note(&operation, &body);
    let bad = StatusCode::BAD_REQUEST;
    if !is_signed(&headers, "comprehend") {
        return refused(bad, "UnrecognizedClientException", "The security token included in the request is invalid.");
    }
    if AwsServers::takes_one(&state.throttled) {
        return refused(bad, "ThrottlingException", "Rate exceeded");
    }
    let texts: Vec<&str> = body["TextList"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if texts.len() > TEXTS_MAX {
        return refused(bad, "BatchSizeLimitExceededException", "The number of documents exceeds 25.");
    }
    let language = body["LanguageCode"].as_str().unwrap_or_default();
    if operation != "BatchDetectDominantLanguage" && !["de", "en", "es", "ja"].contains(&language) {
        return refused(bad, "UnsupportedLanguageException", &format!("{language} is not supported"));
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        let error = |code: &str, message: &str| json!({"Index": index, "ErrorCode": code, "ErrorMessage": message});
        if text.len() > TEXT_BYTES_MAX {
            errors.push(error("TEXT_SIZE_LIMIT_EXCEEDED", "Input text size exceeds limit."));
        } else if state.fails_inside(text) {
            errors.push(error("INTERNAL_SERVER_ERROR", "An internal error occurred."));
        } else {
            let mut result = understood(&operation, text);
            result["Index"] = json!(index);
            results.push(result);
        }
    }
    // Nothing says that results come in order.
    results.reverse();
    json!({"ResultList": results, "ErrorList": errors}).to_string().into_response()
}

/// What the small service understands.
fn understood(operation: &str, text: &str) -> Value {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match operation {
        "BatchDetectDominantLanguage" => {
            let code = match () {
                () if has(&["großartig", "schlecht"]) => "de",
                () if has(&["equipaje"]) => "es",
                () if has(&["東京"]) => "ja",
                () if has(&["Lekker"]) => "nl",
                () => "en",
            };
            let other = json!({"LanguageCode": "fr", "Score": 0.05});
            json!({"Languages": [other, {"LanguageCode": code, "Score": 0.9}]})
        }
        "BatchDetectSentiment" => {
            let (label, positive, negative) = match () {
                () if has(&["großartig", "love"]) => ("POSITIVE", 0.9, 0.02),
                () if has(&["schlecht", "delayed", "hate"]) => ("NEGATIVE", 0.02, 0.9),
                () => ("NEUTRAL", 0.02, 0.02),
            };
            let neutral = 0.98 - positive - negative;
            let scores = json!({"Positive": positive, "Negative": negative, "Neutral": neutral, "Mixed": 0.02});
            json!({"Sentiment": label, "SentimentScore": scores})
        }
        "BatchDetectEntities" => {
            let known =
                [("Austin", "LOCATION"), ("München", "LOCATION"), ("JetBlue", "ORGANIZATION"), ("Monday", "DATE")];
            json!({"Entities": known.iter().filter_map(|(name, kind)| span(text, name, kind)).collect::<Vec<_>>()})
        }
        _ => json!({"KeyPhrases": span(text, "flight", "").into_iter().collect::<Vec<_>>()}),
    }
}

fn span(text: &str, name: &str, kind: &str) -> Option<Value> {
    let begin = text[..text.find(name)?].chars().count();
    let end = begin + name.chars().count();
    let mut span = json!({"Text": name, "Score": 0.97, "BeginOffset": begin, "EndOffset": end});
    if !kind.is_empty() {
        span["Type"] = json!(kind);
    }
    Some(span)
}

async fn invoke(
    State(state): State<Arc<AwsServers>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    state.note("InvokeEndpoint", &body);
    if !is_signed(&headers, "sagemaker") {
        return refused(StatusCode::FORBIDDEN, "UnrecognizedClientException", "The security token is invalid.");
    }
    if AwsServers::takes_one(&state.throttled) {
        return refused(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded");
    }
    if AwsServers::takes_one(&state.starting) {
        return refused(StatusCode::TOO_MANY_REQUESTS, "ModelNotReadyException", "The model is not ready.");
    }
    let texts: Vec<&str> = body["inputs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let poor = |text: &&str| text.contains("poison");
    match name.as_str() {
        _ if texts.iter().any(poor) => {
            let status = StatusCode::FAILED_DEPENDENCY;
            refused(status, "ModelError", "Received server error (500) from primary with message: CUDA error")
        }
        "triage" => {
            let of = |text: &str| if text.contains("late") || text.contains("delayed") { "delay" } else { "praise" };
            let scores = |text: &&str| {
                let (first, second) = (of(text), if of(text) == "delay" { "praise" } else { "delay" });
                json!([{"label": first, "score": 0.83}, {"label": second, "score": 0.17}])
            };
            json!(texts.iter().map(scores).collect::<Vec<_>>()).to_string().into_response()
        }
        "zero-shot" => {
            let labels = &body["parameters"]["candidate_labels"];
            let count = labels.as_array().map_or(1, Vec::len).max(1);
            let scores = vec![1.0 / count as f64; count];
            let of = |text: &&str| json!({"sequence": text, "labels": labels, "scores": scores});
            json!(texts.iter().map(of).collect::<Vec<_>>()).to_string().into_response()
        }
        "odd" => json!({"answer": 42}).to_string().into_response(),
        _ => refused(StatusCode::BAD_REQUEST, "ValidationError", &format!("Endpoint {name} of account 1 not found.")),
    }
}
