//! Copies of posts to Firehose and Kinesis: every record arrives, also those that a call failed to take.

use aws::{Credentials, Settings};
use axum::Router;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{EnrichedPost, Enrichment, ErrorKind, PostSink, SystemClock};
use engines::{AwsStream, Content, Limits};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::posts;

/// Takes every record at its second try, or none.
#[derive(Default)]
struct Stream {
    seen: Mutex<Vec<String>>,
    taken: Mutex<Vec<String>>,
    is_full: bool,
}

async fn answer(State(stream): State<Arc<Stream>>, body: String) -> String {
    let body: Value = serde_json::from_str(&body).unwrap();
    let (mut failed, mut outcomes) = (0, Vec::new());
    for record in body["Records"].as_array().unwrap() {
        let line = String::from_utf8(STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap();
        let is_second = stream.seen.lock().unwrap().contains(&line);
        stream.seen.lock().unwrap().push(line.clone());
        if is_second && !stream.is_full {
            stream.taken.lock().unwrap().push(line);
            outcomes.push(json!({"RecordId": "1", "SequenceNumber": "1"}));
        } else {
            failed += 1;
            outcomes.push(json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}));
        }
    }
    json!({"FailedPutCount": failed, "RequestResponses": outcomes, "FailedRecordCount": failed, "Records": outcomes})
        .to_string()
}

async fn start(is_full: bool) -> (Arc<Stream>, Settings) {
    let stream = Arc::new(Stream { is_full, ..Stream::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        region: "eu-central-1".into(),
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        credentials: Some(Credentials::fixed("AKID", &"secret".into(), None)),
    };
    let app = Router::new().fallback(answer).with_state(stream.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (stream, settings)
}

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(10), rest: Duration::ZERO, kept_max: 0, calls_max: 1 }
}

fn enriched(number: u64) -> EnrichedPost {
    let mut post = posts::post(&number.to_string(), "words");
    post.payload = format!("{{\"id\":\"{number}\",\n\"text\":\"words\"}}");
    EnrichedPost {
        offset: number,
        enrichment: Enrichment { model: "m".into(), ..Enrichment::default() },
        topics: vec!["t".into()],
        place: None,
        author_place: None,
        enriched_at: posts::noon(),
        post,
    }
}

#[tokio::test]
async fn records_that_failed_are_sent_again() {
    let posts: Vec<EnrichedPost> = (1..=3).map(enriched).collect();
    let (stream, settings) = start(false).await;
    let firehose = AwsStream::firehose("raw", Content::Raw, &settings, Arc::new(SystemClock), &limits()).unwrap();
    firehose.put(&posts).await.unwrap();
    let taken = stream.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 3);
    assert!(taken.contains(&"{\"id\":\"1\",\"text\":\"words\"}\n".to_owned()), "one line each: {taken:?}");
    let (stream, settings) = start(false).await;
    let kinesis =
        AwsStream::kinesis("posts", Content::Understood, &settings, Arc::new(SystemClock), &limits()).unwrap();
    kinesis.put(&posts).await.unwrap();
    let first: Value = serde_json::from_str(&stream.taken.lock().unwrap()[0]).unwrap();
    assert_eq!((&first["model"], &first["topics"][0], &first["text"]), (&json!("m"), &json!("t"), &json!("words")));
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_worth_another_try() {
    let (_, settings) = start(true).await;
    let stream = AwsStream::firehose("raw", Content::Raw, &settings, Arc::new(SystemClock), &limits()).unwrap();
    let error = stream.put(&[enriched(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry);
    assert!(error.to_string().contains("all but 1 records"), "{error}");
}
