//! Translation against stand-ins of both services on this machine: what is asked, what is made of the answers, what
//! happens when they refuse or fail.

mod stand_in;

use aws::Credentials;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use domain::{ErrorKind, ManualClock, Translator, Untranslated};
use engines::{Limits, Translation};
use serde_json::{Value, json};
use stand_in::serve;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct StandIn {
    asked: Mutex<Vec<(HeaderMap, Value)>>,
    down: AtomicBool,
}

impl StandIn {
    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

type Reply = (StatusCode, Json<Value>);

/// What LibreTranslate answers (its OpenAPI document, `/translate`).
async fn libretranslate(State(state): State<Arc<StandIn>>, headers: HeaderMap, Json(body): Json<Value>) -> Reply {
    state.asked.lock().unwrap().push((headers, body.clone()));
    let say = |status, body| (status, Json(body));
    if state.down.load(Ordering::SeqCst) {
        return say(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "out of memory"}));
    }
    match (body["api_key"].as_str(), body["source"].as_str().unwrap(), body["q"].as_str().unwrap()) {
        (Some("wrong"), ..) => say(StatusCode::FORBIDDEN, json!({"error": "Invalid API key"})),
        (_, "tlh", _) => say(StatusCode::BAD_REQUEST, json!({"error": "tlh is not supported"})),
        (_, _, "too long") => say(StatusCode::BAD_REQUEST, json!({"error": "request exceeds text limit"})),
        (_, source, text) => say(StatusCode::OK, json!({"translatedText": format!("{source}: {text}")})),
    }
}

/// What Amazon Translate answers (API reference, `TranslateText`).
async fn amazon(State(state): State<Arc<StandIn>>, headers: HeaderMap, body: String) -> Reply {
    let body: Value = serde_json::from_str(&body).unwrap();
    state.asked.lock().unwrap().push((headers, body.clone()));
    let say = |status, body| (status, Json(body));
    if state.down.load(Ordering::SeqCst) {
        return say(StatusCode::INTERNAL_SERVER_ERROR, json!({"__type": "InternalServerException"}));
    }
    match (body["SourceLanguageCode"].as_str().unwrap(), body["Text"].as_str().unwrap()) {
        ("tlh", _) => say(
            StatusCode::BAD_REQUEST,
            json!({"__type": "UnsupportedLanguagePairException", "Message": "Unsupported language pair: tlh to en."}),
        ),
        (_, "too fast") => {
            say(StatusCode::BAD_REQUEST, json!({"__type": "ThrottlingException", "message": "Rate exceeded"}))
        }
        (_, "too long") => say(
            StatusCode::BAD_REQUEST,
            json!({"__type": "TextSizeLimitExceededException", "Message": "Input text size exceeds limit."}),
        ),
        (source, text) => say(
            StatusCode::OK,
            json!({"TranslatedText": format!("{source}: {text}"), "SourceLanguageCode": source, "TargetLanguageCode": "en"}),
        ),
    }
}

/// The stand-in on a free port, and its address.
fn start() -> (Arc<StandIn>, String) {
    let state = Arc::new(StandIn::default());
    let app =
        Router::new().route("/translate", post(libretranslate)).route("/", post(amazon)).with_state(state.clone());
    let address = serve(app);
    (state, address)
}

/// Left alone for ever after a failure.
fn limits() -> Limits {
    Limits { rest: Duration::from_secs(3_600), ..Translation::limits() }
}

fn libre(address: &str, key: Option<&str>) -> Translation {
    Translation::libretranslate(address, key.map(Into::into), &limits()).unwrap()
}

fn aws(address: &str) -> Translation {
    let credentials = Credentials::fixed("AKIDEXAMPLE", &"secret".into(), Some(&"session".into()));
    let settings =
        aws::Settings { region: "eu-central-1".into(), endpoint: address.into(), credentials: Some(credentials) };
    let clock = Arc::new(ManualClock::at("2026-11-27T12:00:00Z".parse().unwrap()));
    Translation::amazon(&settings, clock, &limits()).unwrap()
}

fn text<'a>(language: &'a str, text: &'a str) -> Untranslated<'a> {
    Untranslated { text, language }
}

/// English, or kind and words of the error.
fn answers(engine: &Translation, texts: &[Untranslated<'_>]) -> Vec<Result<String, (ErrorKind, String)>> {
    engine.translate(texts).into_iter().map(|a| a.map_err(|e| (e.kind(), e.to_string()))).collect()
}

#[test]
fn texts_become_english_in_their_order_and_are_asked_once() {
    let (service, address) = start();
    let engine = libre(&format!("{address}/"), Some("secret"));
    let texts = [text("de", "zwei"), text("es", "uno"), text("de", "zwei")];
    let expected: Vec<Result<String, _>> = ["de: zwei", "es: uno", "de: zwei"].map(|t| Ok(t.to_owned())).into();
    assert_eq!(answers(&engine, &texts), expected);
    assert_eq!(answers(&engine, &texts), expected);
    assert_eq!(service.calls(), 2, "remembered");
    let asked = service.asked.lock().unwrap();
    let german = asked.iter().map(|(_, body)| body).find(|body| body["source"] == "de").unwrap();
    assert_eq!(*german, json!({"q": "zwei", "source": "de", "target": "en", "format": "text", "api_key": "secret"}));
}

#[test]
fn amazon_is_asked_with_a_signature() {
    let (service, address) = start();
    assert_eq!(answers(&aws(&address), &[text("fr", "un")]), [Ok("fr: un".to_owned())]);
    let asked = service.asked.lock().unwrap();
    let (headers, body) = &asked[0];
    assert_eq!(*body, json!({"Text": "un", "SourceLanguageCode": "fr", "TargetLanguageCode": "en"}));
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(headers["x-amz-target"], "AWSShineFrontendService_20170701.TranslateText");
    assert_eq!(headers["x-amz-date"], "20261127T120000Z");
    assert_eq!(headers["x-amz-security-token"], "session");
    let authorization = headers["authorization"].to_str().unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/eu-central-1/translate/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=";
    assert!(authorization.starts_with(scope), "{authorization}");
}

#[test]
fn an_unknown_language_is_asked_for_once() {
    let (service, address) = start();
    for engine in [libre(&address, None), aws(&address)] {
        let before = service.calls();
        let (kind, words) = answers(&engine, &[text("tlh", "Qapla'")]).remove(0).unwrap_err();
        assert_eq!(kind, ErrorKind::Reject);
        assert!(words.contains("tlh"), "{words}");
        let (kind, words) = answers(&engine, &[text("tlh", "nuqneH")]).remove(0).unwrap_err();
        assert_eq!((kind, service.calls()), (ErrorKind::Reject, before + 1));
        assert!(words.contains("does not know the language tlh"), "{words}");
    }
}

#[test]
fn a_text_that_is_refused_stops_no_other() {
    let (_, address) = start();
    for engine in [libre(&address, None), aws(&address)] {
        let found = answers(&engine, &[text("de", "too long"), text("de", "kurz")]);
        assert!(matches!(&found[0], Err((ErrorKind::Reject, words)) if words.contains("limit")), "{found:?}");
        assert_eq!(found[1], Ok("de: kurz".to_owned()), "no rest for one bad text");
        assert_eq!(answers(&engine, &[text("de", "noch")]), [Ok("de: noch".to_owned())], "its language is known");
    }
}

#[test]
fn a_service_that_fails_is_left_alone_and_then_asked_again() {
    let (service, address) = start();
    let engine = libre(&address, None);
    service.down.store(true, Ordering::SeqCst);
    let found = answers(&engine, &[text("de", "eins")]);
    assert!(matches!(&found[0], Err((ErrorKind::Retry, words)) if words.contains("out of memory")), "{found:?}");
    let found = answers(&engine, &[text("de", "zwei"), text("de", "drei")]);
    assert!(found.iter().all(|answer| matches!(answer, Err((ErrorKind::Retry, _)))), "{found:?}");
    assert_eq!(service.calls(), 1, "left alone");
    let soon = Limits { rest: Duration::ZERO, ..limits() };
    let engine = Translation::libretranslate(&address, None, &soon).unwrap();
    assert!(answers(&engine, &[text("de", "eins")])[0].is_err());
    service.down.store(false, Ordering::SeqCst);
    assert_eq!(answers(&engine, &[text("de", "eins")]), [Ok("de: eins".to_owned())], "its rest is over");
}

#[test]
fn a_pace_or_a_key_that_is_refused_is_the_services_failure() {
    let (_, address) = start();
    let found = answers(&aws(&address), &[text("de", "too fast")]);
    assert!(matches!(&found[0], Err((ErrorKind::Retry, words)) if words.contains("Rate exceeded")), "{found:?}");
    let found = answers(&libre(&address, Some("wrong")), &[text("de", "eins")]);
    assert!(matches!(&found[0], Err((ErrorKind::Retry, words)) if words.contains("Invalid API key")), "{found:?}");
    assert!(Translation::libretranslate("localhost:5000", None, &limits()).is_err());
}

#[test]
fn both_services_keep_the_promises() {
    let (service, address) = start();
    testkit::conformance::translator(&libre(&address, None));
    testkit::conformance::translator(&aws(&address));
    service.down.store(true, Ordering::SeqCst);
    testkit::conformance::translator_that_is_down(&libre(&address, None));
    testkit::conformance::translator_that_is_down(&aws(&address));
}
