//! The program as a Lambda function, against a runtime API in small: events of a state machine are answered and stored
//! once.

use crate::program::{counts, plain, text};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Events on their way in, answers on their way out.
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<(String, Value)>,
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> impl IntoResponse {
    let Some(event) = api.events.lock().await.recv().await else { return std::future::pending().await };
    ([("lambda-runtime-aws-request-id", "request-1")], event.to_string())
}

async fn answered(
    State(api): State<Arc<RuntimeApi>>,
    Path((id, kind)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) {
    assert_eq!(id, "request-1");
    let error = headers.get("lambda-runtime-function-error-type").map(|kind| kind.to_str().unwrap().to_owned());
    let kind = error.unwrap_or(kind);
    api.answers.send((kind, serde_json::from_str(&body).unwrap())).await.unwrap();
}

/// The function as Lambda runs it; where its events go in, and its answers come out.
async fn start(data: &std::path::Path) -> (Child, mpsc::Sender<Value>, mpsc::Receiver<(String, Value)>) {
    let (events, waiting) = mpsc::channel(1);
    let (answers, answered_with) = mpsc::channel(1);
    let api = Arc::new(RuntimeApi { events: Mutex::new(waiting), answers });
    let app = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answered))
        .with_state(api);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut command = plain(data);
    command.arg("lambda").env("OVERHEARD_LAMBDA_ACTION", "step").env("AWS_LAMBDA_RUNTIME_API", address);
    (command.stderr(Stdio::piped()).spawn().unwrap(), events, answered_with)
}

#[tokio::test]
async fn steps_of_a_state_machine_are_answered_and_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut function, events, mut answered_with) = start(&data).await;
    let mut ask = async |event: Value| {
        events.send(event).await.unwrap();
        answered_with.recv().await.unwrap()
    };

    let given = |id: &str| {
        let created_at = "2026-03-01T12:00:00Z";
        json!({"id": id, "platform": "shop", "text": "Late again in Austin", "created_at": created_at})
    };
    let (kind, answer) = ask(json!({"step": "locate", "posts": [given("1"), {"id": "2"}]})).await;
    assert_eq!(kind, "response", "{answer}");
    assert_eq!(answer["posts"][0]["text"], "Late again in Austin");
    assert!(answer["posts"][1]["error"].is_string(), "{answer}");

    let save = json!({"step": "save", "id": "execution-1", "posts": [given("1"), {"id": "2"}, given("3")]});
    for _ in 0..2 {
        let (kind, answer) = ask(save.clone()).await;
        assert_eq!((kind.as_str(), &answer["saved"]), ("response", &json!(2)), "{answer}");
    }
    let (kind, answer) = ask(json!({"step": "save", "id": "execution-2", "posts": [given("3"), given("4")]})).await;
    assert_eq!((kind.as_str(), &answer["saved"]), ("response", &json!(2)), "{answer}");
    for (event, words) in [
        (json!({"step": "dance", "posts": []}), "unknown step"),
        (json!({"step": "save", "posts": [given("1")]}), "no id"),
        (json!({"Records": []}), "no step"),
    ] {
        let (kind, answer) = ask(event).await;
        assert_eq!(kind, "Overheard.Input", "{answer}");
        assert!(answer["errorMessage"].as_str().unwrap().contains(words), "{answer}");
    }
    function.kill().unwrap();
    let log = function.wait_with_output().unwrap();
    assert_eq!(counts(&data), (3, 3, 3, 3), "{}", text(&log.stderr));
}

#[test]
fn nobody_starts_it_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let refused = plain(folder.path()).arg("lambda").output().unwrap();
    assert!(text(&refused.stderr).contains("Lambda starts this command"), "{}", text(&refused.stderr));
}
