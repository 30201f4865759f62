//! The link that signs in: once, within ten minutes, from this machine.

use super::{Client, NOW, client_with, request};
use crate::Config;
use crate::auth::SignInLink;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use chrono::Duration;
use domain::Timestamp;
use serde_json::json;
use state::AuditLog;
use std::net::SocketAddr;
use tower::ServiceExt;

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

async fn with_link() -> (Client, String) {
    let (link, fragment) = SignInLink::new("admin", now());
    let secret = fragment.strip_prefix("#sign-in=").unwrap().to_owned();
    (client_with(Config { sign_in_link: Some(link), ..Config::default() }).await, secret)
}

impl Client {
    async fn follow(&self, secret: &str, from: [u8; 4], headers: &[(&str, &str)]) -> StatusCode {
        let own = [("origin", "http://localhost:8080"), ("content-type", "application/json")];
        let body = Body::from(json!({ "secret": secret }).to_string());
        let mut request = request("POST", "/api/session/link", &[headers, &own].concat(), body);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((from, 5000))));
        self.router.clone().oneshot(request).await.unwrap().status()
    }
}

const HERE: [u8; 4] = [127, 0, 0, 1];

#[tokio::test]
async fn a_link_signs_in_once() {
    let (client, secret) = with_link().await;
    let answer = client.write("", "POST", "/api/session/link", json!({ "secret": secret })).await;
    assert_eq!(answer.json(), json!({ "name": "admin", "role": "admin", "must_change_password": false }));
    assert_eq!(client.get(&answer.cookie(), "/api/users").await.status, StatusCode::OK);
    assert_eq!(client.follow(&secret, HERE, &[]).await, StatusCode::UNAUTHORIZED, "it was used");
    let entries = AuditLog::new(client.state.clone()).page(None, 10, 365, now()).await.unwrap().entries;
    assert!(entries.iter().any(|entry| entry.action == "sign in by link" && entry.who.as_deref() == Some("admin")));
}

#[tokio::test]
async fn of_two_at_once_one_is_let_in() {
    let (client, secret) = with_link().await;
    let (one, other) = tokio::join!(client.follow(&secret, HERE, &[]), client.follow(&secret, HERE, &[]));
    let mut both = [one.as_u16(), other.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [200, 401]);
}

#[tokio::test]
async fn a_link_is_refused_from_elsewhere_and_through_a_proxy_and_stays_good() {
    let (client, secret) = with_link().await;
    assert_eq!(client.follow(&secret, [10, 0, 0, 5], &[]).await, StatusCode::UNAUTHORIZED);
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        assert_eq!(client.follow(&secret, HERE, &[(header, "127.0.0.1")]).await, StatusCode::UNAUTHORIZED, "{header}");
    }
    assert_eq!(client.follow("guessed", HERE, &[]).await, StatusCode::UNAUTHORIZED);
    let of_another_page = [("origin", "http://evil.example"), ("content-type", "application/json")];
    let body = json!({ "secret": secret }).to_string();
    client.send("POST", "/api/session/link", &of_another_page, body).await.refused(403, None);
    assert_eq!(client.follow(&secret, HERE, &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn a_link_is_refused_once_it_is_old_and_where_there_is_none() {
    let (client, secret) = with_link().await;
    client.clock.set(now() + Duration::minutes(10));
    assert_eq!(client.follow(&secret, HERE, &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(super::client().await.follow(&secret, HERE, &[]).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn with_trusted_proxies_no_link_signs_in() {
    let (link, fragment) = SignInLink::new("admin", now());
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let client = client_with(Config { sign_in_link: Some(link), trusted_proxies, ..Config::default() }).await;
    assert_eq!(client.follow(&fragment[9..], HERE, &[]).await, StatusCode::UNAUTHORIZED);
}
