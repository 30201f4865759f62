//! The simulator's HTTP: who is let in, how often, and which answers X gives.

use super::rules::{Answer, NewRule};
use super::{Shared, stream};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

type App = State<Arc<Shared>>;
type Parameters = Query<HashMap<String, String>>;

/// Requests of one kind in the window that runs.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    used: u32,
}

pub(super) fn application(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/2/tweets/search/stream", get(open_stream))
        .route("/2/tweets/search/stream/rules", get(read_rules).post(change_rules))
        .route("/2/tweets/search/stream/rules/counts", get(count_rules))
        .route("/2/tweets/search/recent", get(search))
        .fallback(async || {
            problem(404, &json!({"title": "Not Found", "detail": "Not Found", "type": "about:blank", "status": 404}))
        })
        .layer(middleware::from_fn_with_state(shared.clone(), authorize))
        .with_state(shared)
}

/// The token first, as X does.
async fn authorize(State(shared): App, request: Request, next: Next) -> Response {
    let expected = format!("Bearer {}", shared.config.token);
    if request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()) != Some(expected.as_str()) {
        return problem(
            401,
            &json!({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}),
        );
    }
    if shared.config.not_enrolled {
        return problem(
            403,
            &json!({
                "client_id": "1", "title": "Client Forbidden", "reason": "client-not-enrolled",
                "required_enrollment": "Appropriate Level of API Access",
                "detail": "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a \
                    developer App that is attached to a Project.",
                "registration_url": "https://developer.x.com/", "type": "https://api.twitter.com/2/problems/client-forbidden",
            }),
        );
    }
    next.run(request).await
}

fn problem(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

fn answer((status, body): Answer, headers: HeaderMap) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, axum::Json(body)).into_response()
}

/// Counts a request; its headers, or the refusal.
fn admit(shared: &Shared, kind: &'static str, limit: u32) -> Result<HeaderMap, Box<Response>> {
    let mut windows = shared.windows.lock().unwrap_or_else(PoisonError::into_inner);
    let length = shared.config.limits.window;
    let now = Instant::now();
    let window = windows.entry(kind).or_insert(Window { began: now, used: 0 });
    if now.duration_since(window.began) >= length {
        *window = Window { began: now, used: 0 };
    }
    window.used += 1;
    let left = length.saturating_sub(now.duration_since(window.began));
    let reset = epoch_seconds() + left.as_secs();
    let headers = limit_headers(limit, limit.saturating_sub(window.used), reset);
    if window.used > limit {
        shared.seen.rate_limited.fetch_add(1, Ordering::Relaxed);
        return Err(Box::new(too_many_requests(headers)));
    }
    Ok(headers)
}

fn too_many_requests(headers: HeaderMap) -> Response {
    let body =
        json!({"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429});
    answer((429, body), headers)
}

#[expect(clippy::disallowed_methods, reason = "the headers of X tell the time of day, and this is X's clock")]
fn epoch_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn limit_headers(limit: u32, remaining: u32, reset: u64) -> HeaderMap {
    let pairs = [
        ("x-rate-limit-limit", u64::from(limit)),
        ("x-rate-limit-remaining", u64::from(remaining)),
        ("x-rate-limit-reset", reset),
    ];
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value))).collect()
}

async fn open_stream(State(shared): App) -> Response {
    let headers = match admit(&shared, "stream", shared.config.limits.stream) {
        Ok(headers) => headers,
        Err(refusal) => return *refusal,
    };
    let request = shared.seen.connections.fetch_add(1, Ordering::Relaxed);
    let faults = &shared.config.faults;
    if request < u64::from(faults.unavailable_first) {
        return problem(
            503,
            &json!({"title": "Service Unavailable", "detail": "Service Unavailable", "type": "about:blank", "status": 503}),
        );
    }
    if request < u64::from(faults.unavailable_first) + u64::from(faults.rate_limited_first) {
        shared.seen.rate_limited.fetch_add(1, Ordering::Relaxed);
        return too_many_requests(limit_headers(shared.config.limits.stream, 0, epoch_seconds() + 1));
    }
    if shared.connected.swap(true, Ordering::SeqCst) {
        shared.seen.refused_connections.fetch_add(1, Ordering::Relaxed);
        return problem(
            429,
            &json!({
                "title": "ConnectionException", "connection_issue": "TooManyConnections",
                "detail": "This stream is currently at the maximum allowed connection limit.",
                "type": "https://api.twitter.com/2/problems/streaming-connection",
            }),
        );
    }
    (headers, stream::body(shared)).into_response()
}

async fn read_rules(State(shared): App, Query(parameters): Parameters) -> Response {
    let headers = match admit(&shared, "read_rules", shared.config.limits.read_rules) {
        Ok(headers) => headers,
        Err(refusal) => return *refusal,
    };
    let size = parameters.get("max_results").and_then(|size| size.parse().ok()).unwrap_or(1_000).clamp(1, 1_000);
    let token = parameters.get("pagination_token").map(String::as_str).unwrap_or_default();
    let from = token.strip_prefix('p').and_then(|place| place.parse().ok()).unwrap_or(0);
    answer(shared.rules().page(size, from, &sent()), headers)
}

fn sent() -> String {
    let seconds = i64::try_from(epoch_seconds()).unwrap_or(0);
    chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    add: Option<Vec<NewRule>>,
    #[serde(default)]
    delete: Option<Which>,
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default)]
    values: Vec<String>,
}

async fn change_rules(State(shared): App, Query(parameters): Parameters, body: Bytes) -> Response {
    let headers = match admit(&shared, "change_rules", shared.config.limits.change_rules) {
        Ok(headers) => headers,
        Err(refusal) => return *refusal,
    };
    let on = |name: &str| parameters.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let (dry_run, delete_all) = (on("dry_run"), on("delete_all"));
    if dry_run {
        shared.seen.dry_runs.fetch_add(1, Ordering::Relaxed);
    }
    let bad = |message: &str| {
        json!({"errors": [{"message": message, "parameters": {}}], "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.", "type": "https://api.twitter.com/2/problems/invalid-request"})
    };
    let change: Change = match serde_json::from_slice(if body.is_empty() { b"{}" } else { &body }) {
        Ok(change) => change,
        Err(error) => return answer((400, bad(&error.to_string())), headers),
    };
    let answered = match (change.add, change.delete, delete_all) {
        (Some(add), None, false) if !add.is_empty() => shared.rules().add(add, dry_run, &sent()),
        (None, Some(which), false) => shared.rules().delete(Some(&(which.ids, which.values)), dry_run, &sent()),
        (None, None, true) => shared.rules().delete(None, dry_run, &sent()),
        _ => (400, bad("exactly one of add, delete or delete_all is needed")),
    };
    answer(answered, headers)
}

async fn count_rules(State(shared): App) -> Response {
    match admit(&shared, "count_rules", shared.config.limits.read_rules) {
        Ok(headers) => answer(shared.rules().count(), headers),
        Err(refusal) => *refusal,
    }
}

/// Posts that are published, newest first, by pages.
async fn search(State(shared): App, Query(parameters): Parameters) -> Response {
    let headers = match admit(&shared, "search", shared.config.limits.search) {
        Ok(headers) => headers,
        Err(refusal) => return *refusal,
    };
    shared.seen.searches.fetch_add(1, Ordering::Relaxed);
    let bad = |name: &str, message: &str| {
        let body = json!({"errors": [{"parameters": {name: [parameters.get(name)]}, "message": message}],
            "title": "Invalid Request", "detail": "One or more parameters to your request was invalid.",
            "type": "https://api.twitter.com/2/problems/invalid-request"});
        answer((400, body), HeaderMap::new())
    };
    let text = parameters.get("query").map(String::as_str).unwrap_or_default();
    if text.chars().count() > 512 {
        return bad("query", "the query is longer than 512 characters");
    }
    let Ok(query) = domain::topic::Query::parse(text) else {
        return bad("query", "the query can't be read");
    };
    let size: usize = parameters.get("max_results").and_then(|size| size.parse().ok()).unwrap_or(10);
    if !(10..=100).contains(&size) {
        return bad("max_results", "max_results is not between 10 and 100");
    }
    let number = |name: &str| parameters.get(name).and_then(|id| id.parse::<u64>().ok());
    let (since, until) = (number("since_id").unwrap_or(0), number("until_id").unwrap_or(u64::MAX));
    let start = parameters.get("start_time").map(String::as_str).unwrap_or_default();
    let published = *shared.published.borrow();
    // The token says how many posts, newest first, were gone through; posts published since then stand before it.
    let token = parameters.get("next_token").or_else(|| parameters.get("pagination_token"));
    let before = token.and_then(|token| token.strip_prefix('n')?.parse().ok()).unwrap_or(published).min(published);
    let (mut hits, mut place) = (Vec::new(), before);
    while place > 0 && hits.len() < size {
        place -= 1;
        let post = &shared.posts[place];
        let within = post.number() > since && post.number() < until && post.created_at.as_str() >= start;
        if within && query.matches(&post.as_post(), None) {
            hits.push(post);
        }
    }
    let mut meta = json!({"result_count": hits.len()});
    let more = shared.posts[..place].iter().any(|post| post.number() > since && post.created_at.as_str() >= start);
    if more {
        meta["next_token"] = json!(format!("n{place}"));
    }
    let mut users: Vec<Value> = Vec::new();
    for user in hits.iter().map(|post| post.user()) {
        if !users.contains(&user) {
            users.push(user);
        }
    }
    let body = if hits.is_empty() {
        json!({"meta": meta})
    } else {
        json!({"data": hits.iter().map(|post| post.data()).collect::<Vec<_>>(), "includes": {"users": users}, "meta": meta})
    };
    answer((200, body), headers)
}
