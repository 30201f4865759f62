//! What happens at the limits: too many connections or streams, too slow or too large bodies, exports that fail.

use super::{client, client_with};
use crate::Config;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use state::Role;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A server on a port of its own.
struct Listening {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

async fn listen(router: Router, config: Config) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let stopped = shutdown.clone();
    let serving = tokio::spawn(async move { crate::listen::serve(listener, router, &config, None, stopped).await });
    Listening { address, shutdown, serving }
}

/// Sends and reads until the server closes the connection.
async fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_push_may_be_compressed_within_the_limit_of_a_body() {
    let client = client().await;
    let admin = client.admin().await;
    let push = json!({ "name": "reviews", "scope": { "for": "push", "source": "push:reviews" } });
    let issued = client.write(&admin, "POST", "/api/tokens", push).await.json();
    let secret = format!("Bearer {}", issued["secret"].as_str().unwrap());
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let send = async |encoding, body: Vec<u8>| {
        let headers = [("authorization", secret.as_str()), ("content-encoding", encoding)];
        client.send("POST", "/v1/posts", &headers, body).await
    };
    let reason = |answer: Value| answer["items"][0]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason(send("gzip", gzip("[]")).await.json()), "2 bytes of push:reviews");
    assert_eq!(reason(send("identity", b"[]".to_vec()).await.json()), "2 bytes of push:reviews");
    let largest = "x".repeat(4000);
    assert_eq!(reason(send("GZIP", gzip(&largest)).await.json()), "4000 bytes of push:reviews");
    send("gzip", gzip(&"x".repeat(4001))).await.refused(413, None);
    send("gzip", gzip(&"x".repeat(50_000_000))).await.refused(413, None);
    send("gzip", b"[]".to_vec()).await.refused(400, Some("body"));
    for encoding in ["br", "gzip, gzip", "deflate"] {
        let refused = send(encoding, b"[]".to_vec()).await;
        refused.refused(415, None);
        assert_eq!(refused.headers[header::ACCEPT_ENCODING], "gzip");
    }
}

#[tokio::test]
async fn a_strangers_body_is_not_taken_in() {
    let client = client().await;
    let server = listen(client.router.clone(), Config::default()).await;
    let head = "POST /v1/posts HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 16000000\r\n";
    // The body never comes, and the answer does.
    let answer = exchange(server.address, &format!("{head}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let answer = exchange(server.address, &format!("{head}authorization: Bearer wrong\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let sql = "POST /api/sql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let answer = exchange(server.address, &format!("{sql}content-length: 16000000\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn who_only_holds_a_connection_open_is_disconnected_and_makes_room() {
    let client = client().await;
    let config = Config { connections_max: 4, header_timeout: Duration::from_millis(100), ..Config::default() };
    let server = listen(client.router.clone(), config).await;
    let mut idle = Vec::new();
    for part in ["", "GET /hea", "GET /healthz HTTP/1.1\r\nhost", ""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let answer =
        exchange(server.address, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("ok\n"), "{answer}");
    for mut stream in idle {
        let mut rest = Vec::new();
        // Closed by the server, with or without a word.
        drop(stream.read_to_end(&mut rest).await);
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let client = client_with(Config { body_timeout: Duration::from_millis(100), ..Config::default() }).await;
    let server = listen(client.router.clone(), Config::default()).await;
    let head =
        "POST /api/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let answer = exchange(server.address, &format!("{head}content-length: 100\r\n\r\n{{\"name\":")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_stop_lets_answers_finish_and_closes_what_is_idle() {
    let client = client().await;
    let server = listen(client.router.clone(), Config::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.shutdown.cancel();
    server.serving.await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_body_has_the_size_that_its_route_needs() {
    let client = client_with(Config::default()).await;
    let admin = client.admin().await;
    let long = json!({ "post_id": "x:1", "category": "x".repeat(1_900) });
    assert_ne!(client.write(&admin, "POST", "/api/labels", long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let longer = json!({ "post_id": "x:1", "category": "x".repeat(2_000) });
    client.write(&admin, "POST", "/api/labels", longer).await.refused(413, None);
}

#[tokio::test]
async fn one_user_does_not_take_all_live_streams() {
    let config = Config { streams_max: 4, streams_per_user_max: 2, ..Config::default() };
    let client = client_with(config).await;
    let (viewer, admin) = (client.user(Role::Viewer).await, client.admin().await);
    let open = async |cookie: &str| {
        let request = Request::get("/api/live").header(header::COOKIE, cookie).body(Body::empty()).unwrap();
        client.router.clone().oneshot(request).await.unwrap()
    };
    let streams = [open(&viewer).await, open(&viewer).await];
    assert_eq!(streams.each_ref().map(|stream| stream.status()), [StatusCode::OK; 2]);
    assert_eq!(open(&viewer).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let others = [open(&admin).await, open(&admin).await];
    assert_eq!(others.each_ref().map(|stream| stream.status()), [StatusCode::OK; 2]);
    drop(streams);
    assert_eq!(open(&viewer).await.status(), StatusCode::OK, "a stream that ended makes room");
}

#[tokio::test]
async fn metrics_ask_for_their_token_where_one_is_set() {
    let client = client_with(Config { metrics_token: Some("scrape".into()), ..Config::default() }).await;
    assert_eq!(client.send("GET", "/metrics", &[], Body::empty()).await.status, StatusCode::UNAUTHORIZED);
    for (token, status) in [("Bearer wrong", StatusCode::UNAUTHORIZED), ("Bearer scrape", StatusCode::OK)] {
        let headers = [("authorization", token)];
        assert_eq!(client.send("GET", "/metrics", &headers, Body::empty()).await.status, status);
    }
}

/// Posts of which the lake gives two at a time.
async fn store(client: &super::Client, ids: &[&str]) {
    let of_table = |(id, hours_ago): (&&str, i64)| {
        let mut post = super::post(id, hours_ago);
        post.post.text = "=1+1".into();
        post
    };
    client.store(ids.iter().zip(1..).map(of_table).collect()).await;
}

async fn export(client: &super::Client, format: &str) -> (StatusCode, Result<String, axum::Error>) {
    let path = format!("/api/posts/export?format={format}");
    let request = Request::get(path).header(header::COOKIE, client.admin().await).body(Body::empty()).unwrap();
    let answer = client.router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await;
    (status, body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

#[tokio::test]
async fn an_export_holds_every_piece() {
    let client = client().await;
    store(&client, &["a:1", "a:2", "a:3"]).await;
    let (status, body) = export(&client, "jsonl").await;
    let ids: Vec<Value> =
        body.unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["post_id"].clone()).collect();
    assert_eq!((status, ids), (StatusCode::OK, vec![json!("a:1"), json!("a:2"), json!("a:3")]));
    let (_, body) = export(&client, "csv&bom=yes").await;
    let body = body.unwrap();
    assert!(body.starts_with("\u{feff}\"post_id\",") && body.contains("\"'=1+1\""), "{body}");
    let (_, body) = export(&client, "csv&topic=none").await;
    assert_eq!(body.unwrap().lines().count(), 1, "without posts the names of the columns remain");
}

#[tokio::test]
async fn an_export_that_fails_on_its_way_is_broken_off() {
    let client = client().await;
    store(&client, &["a:1", "a:2", "a:3"]).await;
    client.lake.break_exports_after(Some(1));
    let (status, body) = export(&client, "jsonl").await;
    assert_eq!(status, StatusCode::OK, "it had begun");
    assert!(body.is_err(), "a part must not look like the whole: {body:?}");
    client.lake.break_exports_after(Some(0));
    assert_eq!(export(&client, "jsonl").await.0, StatusCode::SERVICE_UNAVAILABLE, "it had not begun");
}
