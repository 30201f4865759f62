//! Every operation is called once against a recorder, and botocore says whether AWS would take the request: names,
//! types and lengths by the service models that it ships (`make setup-test` installs it, with ministack).

use aws::operation::{ALL, KEY_PERMISSIONS, STORE_PERMISSIONS};
use aws::sqs::Place;
use aws::streams::Record;
use aws::{
    Client, Credentials, Service, Settings, comprehend, places, sagemaker, secrets, sns, sqs, streams, translate,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use domain::SystemClock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Recorded = Arc<Mutex<Vec<Value>>>;

async fn record(State(recorded): State<Recorded>, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let request = json!({
        "path": uri.path(), "target": header("x-amz-target"), "type": header("content-type"),
        "scope": header("authorization"), "body": String::from_utf8_lossy(&body),
    });
    recorded.lock().unwrap().push(request);
    // Enough for the callers to go on.
    let taken = json!({"FailedPutCount": 0, "FailedRecordCount": 0, "TranslatedText": "", "Parameter": {"Value": "v"},
        "SecretString": "s", "Attributes": {"FifoQueue": "true"}});
    taken.to_string()
}

async fn recorder() -> (Recorded, String) {
    let recorded = Recorded::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(record).with_state(recorded.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (recorded, address)
}

/// Calls everything.
async fn call_all(address: &str) {
    let settings = Settings {
        region: "eu-central-1".into(),
        endpoint: address.into(),
        credentials: Some(Credentials::fixed("AKID", &"secret".into(), None)),
    };
    let client = |service| Client::new(service, &settings, reqwest::Client::new(), Arc::new(SystemClock)).unwrap();
    let url = format!("{address}/123456789012/posts.fifo").parse().unwrap();
    let queue = sqs::Queue::new(&url, &settings, reqwest::Client::new(), Arc::new(SystemClock)).unwrap();
    let place = Place { group: "0", id: "session-1-0" };
    queue.send("body", Some(place)).await.unwrap();
    queue.receive(Duration::from_secs(60)).await.unwrap();
    queue.delete("handle").await.unwrap();
    queue.lend_for("handle", Duration::ZERO).await.unwrap();
    assert!(queue.attributes().await.unwrap().is_fifo);
    let arn = "arn:aws:sns:eu-central-1:123456789012:desk.fifo";
    let topic = sns::Topic::new(arn, &settings, reqwest::Client::new(), Arc::new(SystemClock)).unwrap();
    topic.publish("subject", "message & more", Some(place)).await.unwrap();
    translate::to_english(&client(Service::Translate), "de", "gut").await.unwrap();
    use comprehend::Question::{Entities, KeyPhrases, Language, Sentiment};
    for question in [Language, Sentiment, Entities, KeyPhrases] {
        comprehend::ask(&client(Service::Comprehend), question, "en", &["one", "two"]).await.unwrap();
    }
    let body = json!({"inputs": ["one"]});
    sagemaker::invoke(&client(Service::SageMaker), "triage-serverless", &body).await.unwrap();
    let body = json!({"QueryText": "austin", "MaxResults": 3, "Language": "en", "IntendedUse": "Storage"});
    places::geocode(&client(Service::Places), None, &body).await.unwrap();
    let body = json!({"QueryPosition": [11.5, 48.1], "MaxResults": 1, "Language": "en", "IntendedUse": "Storage"});
    places::reverse_geocode(&client(Service::Places), None, &body).await.unwrap();
    secrets::parameter(&client(Service::Ssm), "/overheard/x").await.unwrap();
    secrets::secret(&client(Service::SecretsManager), "overheard/x").await.unwrap();
    let record = Record { key: "0".into(), data: b"{}\n".to_vec() };
    for service in [Service::Firehose, Service::Kinesis] {
        streams::put(&client(service), service, "posts", std::slice::from_ref(&record)).await.unwrap();
    }
}

#[tokio::test]
async fn aws_would_take_every_request() {
    let (recorded, address) = recorder().await;
    call_all(&address).await;
    let recorded = recorded.lock().unwrap().clone();
    assert_eq!(recorded.len(), ALL.len(), "every operation once");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ministack/bin/python");
    let python = std::env::var_os("OVERHEARD_BOTOCORE").map_or(python, Into::into);
    if !python.exists() {
        eprintln!("skipped: there is no botocore; `make setup-test` installs it");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/botocore_says.py");
    let mut check = Command::new(python);
    let mut check = check.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(json!(recorded).to_string().as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(output.status.success(), "{told:#}");
    let operations: BTreeSet<String> =
        told.as_array().unwrap().iter().map(|name| name.as_str().unwrap().into()).collect();
    let expected =
        ALL.iter().map(|operation| format!("{}:{}", operation.service.signed_as(), operation.name)).collect();
    assert_eq!(operations, expected);
}

/// The list that policies are compared with.
#[test]
fn golden_the_list_of_permissions_is_that_of_the_code() {
    let of_operations = ALL.iter().map(|operation| (operation.permission, operation.used_for));
    let all = of_operations.chain(STORE_PERMISSIONS.iter().copied()).chain(KEY_PERMISSIONS.iter().copied());
    let list: BTreeMap<&str, &str> = all.collect();
    let text = serde_json::to_string_pretty(&list).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/actions.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        found, text,
        "deploy/actions.json is outdated: UPDATE_GOLDEN=1 cargo test -p aws -p overheard --test requests"
    );
}
