//! The search of Hacker News by Algolia: stories and comments in turn, `numericFilters` for the time, 400 for parameters
//! that it can't read.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const HACKERNEWS: Protocol = Protocol { post_id, answer, edits: true, deletes: false };

fn post_id(number: usize) -> String {
    format!("hackernews:{}", 40_000_000 + number)
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    if request.path != "/api/v1/search_by_date" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let filter = request.query.get("numericFilters");
    let until = match filter.map(|filter| filter.strip_prefix("created_at_i<=").and_then(|at| at.parse().ok())) {
        None => i64::MAX,
        Some(Some(until)) => until,
        Some(None) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let words = request.query.get("query").map(|query| query.to_lowercase()).unwrap_or_default();
    let is_found = |entry: &&Entry| {
        words.split_whitespace().all(|word| entry.text.to_lowercase().contains(word)) && entry.written_s() <= until
    };
    let per_page = request.number("hitsPerPage").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(20);
    let hits: Vec<Value> = entries.iter().rev().filter(is_found).take(per_page).map(hit).collect();
    Json(json!({"hits": hits, "page": 0, "hitsPerPage": per_page, "processingTimeMS": 1})).into_response()
}

fn hit(entry: &Entry) -> Value {
    let id = (40_000_000 + entry.number).to_string();
    let mut hit = json!({
        "objectID": id, "author": "bo", "created_at": entry.written(), "created_at_i": entry.written_s(),
        "story_id": 40_000_000, "points": null,
    });
    if entry.number.is_multiple_of(2) {
        hit["title"] = entry.text.clone().into();
        hit["_tags"] = json!(["story", "author_bo"]);
    } else {
        hit["comment_text"] = entry.html().into();
        hit["_tags"] = json!(["comment", "author_bo"]);
    }
    hit
}
