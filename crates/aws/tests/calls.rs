//! How calls end: what is tried again, what is not, and what is told.

use aws::{Class, Client, Credentials, Service, Settings, translate};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chrono::{NaiveDateTime, TimeDelta};
use domain::{Clock, ManualClock, SystemClock};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Answers in turn; the last answer stays.
#[derive(Default)]
struct Server {
    answers: Mutex<Vec<(u16, &'static str)>>,
    calls: AtomicUsize,
    /// Refuses signatures whose time is not about now.
    is_punctual: bool,
}

const DONE: (u16, &str) = (200, r#"{"TranslatedText":"good"}"#);
const THROTTLED: (u16, &str) = (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
const DENIED: (u16, &str) = (400, r#"{"__type":"AccessDeniedException","Message":"not you"}"#);
const SKEWED: (u16, &str) = (403, r#"{"__type":"InvalidSignatureException","message":"Signature expired"}"#);

async fn answer(State(server): State<Arc<Server>>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let call = server.calls.fetch_add(1, Ordering::SeqCst);
    let signed_at = NaiveDateTime::parse_from_str(headers["x-amz-date"].to_str().unwrap(), "%Y%m%dT%H%M%SZ").unwrap();
    let is_late = (signed_at.and_utc() - SystemClock.now()).abs() > TimeDelta::minutes(5);
    let answers = server.answers.lock().unwrap();
    let found = answers.get(call).or(answers.last()).copied().unwrap();
    let (status, body) = if server.is_punctual && is_late { SKEWED } else { found };
    (StatusCode::from_u16(status).unwrap(), body)
}

async fn start(answers: &[(u16, &'static str)], is_punctual: bool) -> (Arc<Server>, Settings) {
    let answers = Mutex::new(answers.to_vec());
    let server = Arc::new(Server { answers, is_punctual, ..Server::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        region: "eu-central-1".into(),
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        credentials: Some(Credentials::fixed("AKID", &"secret".into(), None)),
    };
    let app = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (server, settings)
}

async fn call(settings: &Settings, clock: Arc<dyn Clock>) -> Result<String, aws::Failure> {
    let client = Client::new(Service::Translate, settings, reqwest::Client::new(), clock).unwrap();
    translate::to_english(&client, "de", "gut").await
}

#[tokio::test]
async fn what_passes_is_tried_three_times_and_what_is_refused_once() {
    for (answers, calls, class) in [
        (vec![THROTTLED, (503, ""), DONE], 3, None),
        (vec![THROTTLED], 3, Some(Class::Throttled)),
        (vec![(500, "<html>")], 3, Some(Class::Passing)),
        (vec![DENIED, DONE], 1, Some(Class::Denied)),
        (vec![(400, r#"{"__type":"ValidationException"}"#), DONE], 1, Some(Class::Refused)),
        (vec![(200, "no JSON")], 1, Some(Class::Passing)),
    ] {
        let (server, settings) = start(&answers, false).await;
        let outcome = call(&settings, Arc::new(SystemClock)).await;
        assert_eq!(outcome.err().map(|failure| failure.class), class, "{answers:?}");
        assert_eq!(server.calls.load(Ordering::SeqCst), calls, "{answers:?}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_that_of_the_service() {
    let (server, settings) = start(&[DONE], true).await;
    let hours_behind = Arc::new(ManualClock::at(SystemClock.now() - TimeDelta::hours(3)));
    assert_eq!(call(&settings, hours_behind).await.unwrap(), "good");
    assert_eq!(server.calls.load(Ordering::SeqCst), 2);
    // The clock is right and the secret is wrong.
    let (server, settings) = start(&[SKEWED], false).await;
    let failure = call(&settings, Arc::new(SystemClock)).await.unwrap_err();
    assert_eq!((failure.class, server.calls.load(Ordering::SeqCst)), (Class::Denied, 1));
    assert!(failure.to_string().contains("the permission translate:TranslateText"), "{failure}");
}

#[tokio::test]
async fn a_service_that_is_gone_is_told_without_its_address() {
    let (_, mut settings) = start(&[DONE], false).await;
    settings.endpoint = "http://127.0.0.1:9/secret-path".into();
    let failure = call(&settings, Arc::new(SystemClock)).await.unwrap_err();
    assert_eq!(failure.class, Class::Passing);
    assert!(!failure.to_string().contains("secret-path"), "{failure}");
}
