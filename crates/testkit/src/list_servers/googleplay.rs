//! Google's API for publishers: a token for a signed request, and the reviews of one app in pages, with the answers of the
//! publisher.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const GOOGLEPLAY: Protocol = Protocol { post_id, answer, edits: true, deletes: false };
const TOKEN: &str = "simulator-token";

fn post_id(number: usize) -> String {
    format!("googleplay:{}", id(number))
}

fn id(number: usize) -> String {
    format!("8a7b-{number}")
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    match request.path.as_str() {
        "/token" => token(request),
        "/androidpublisher/v3/applications/com.example.trains/reviews" => reviews(entries, request),
        _ => refused(StatusCode::NOT_FOUND, "Package not found"),
    }
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"code": status.as_u16(), "message": message}}))).into_response()
}

fn token(request: &Request) -> Response {
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let assertion = request.body.strip_prefix(grant).unwrap_or_default();
    if assertion.split('.').filter(|part| !part.is_empty()).count() != 3 {
        let body = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    Json(json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})).into_response()
}

fn reviews(entries: &[Entry], request: &Request) -> Response {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return refused(StatusCode::UNAUTHORIZED, "Request had invalid authentication credentials.");
    }
    let size = request.number("maxResults").and_then(|size| usize::try_from(size).ok()).unwrap_or(10);
    let begin = request.number("token").and_then(|begin| usize::try_from(begin).ok()).unwrap_or(0);
    let shown: Vec<Value> = entries.iter().rev().skip(begin).take(size).map(review).collect();
    // Where there are none, the key is missing.
    let mut answer = if shown.is_empty() { json!({}) } else { json!({ "reviews": shown }) };
    if begin + size < entries.len() {
        answer["tokenPagination"] = json!({"nextPageToken": (begin + size).to_string()});
    }
    Json(answer).into_response()
}

fn review(entry: &Entry) -> Value {
    let modified = json!({"seconds": entry.changed_s().to_string(), "nanos": 5});
    let comment = json!({"text": entry.text, "starRating": 2, "reviewerLanguage": "en", "lastModified": modified});
    let reply = json!({"text": "Thank you", "lastModified": modified});
    json!({
        "reviewId": id(entry.number), "authorName": "Bo",
        "comments": [{"userComment": comment}, {"developerComment": reply}],
    })
}
