//! A Discourse forum: `/posts.json` with `before`, which is the highest id.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const DISCOURSE: Protocol = Protocol { post_id, answer, edits: true, deletes: true };
/// A forum that shows nothing to visitors without this key.
pub const CLOSED_DISCOURSE: Protocol = Protocol { answer: closed_answer, ..DISCOURSE };
/// A forum one of whose posts can't be read.
pub const BROKEN_DISCOURSE: Protocol = Protocol { answer: broken_answer, ..DISCOURSE };
const KEY: &str = "simulator-token";

fn post_id(number: usize) -> String {
    format!("discourse:127.0.0.1/{}", id(number))
}

/// Ids have gaps, where others write what visitors can't read.
fn id(number: usize) -> usize {
    1_000 + number * 3
}

fn broken_answer(entries: &[Entry], _: &Request) -> Response {
    let mut posts: Vec<Value> = entries.iter().rev().map(post).collect();
    posts.insert(1, json!({"id": "none"}));
    Json(json!({"latest_posts": posts})).into_response()
}

fn closed_answer(entries: &[Entry], request: &Request) -> Response {
    match (request.header("api-key"), request.header("api-username")) {
        (Some(KEY), Some("system")) => answer(entries, request),
        _ => (StatusCode::FORBIDDEN, Json(json!({"errors": ["You need to be logged in to do that."]}))).into_response(),
    }
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    if request.path != "/posts.json" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let before = request.number("before").and_then(|id| usize::try_from(id).ok()).unwrap_or(usize::MAX);
    let shown = entries.iter().rev().filter(|entry| id(entry.number) <= before && !entry.is_deleted);
    let posts: Vec<Value> = shown.take(50).map(post).collect();
    Json(json!({"latest_posts": posts})).into_response()
}

fn post(entry: &Entry) -> Value {
    json!({
        "id": id(entry.number), "name": "Bo", "username": "bo", "user_id": 7, "created_at": entry.written(),
        "updated_at": entry.changed(), "cooked": entry.html(), "raw": entry.text, "post_number": entry.number + 1,
        "post_type": 1, "topic_id": 12, "topic_slug": "trains", "topic_title": "Trains", "version": entry.version,
        "user_deleted": false, "hidden": false, "deleted_at": null,
    })
}
