//! The YouTube Data API: comment threads of one video, which a search finds, with tokens for pages; a second video whose
//! comments are switched off; a key that must be sent.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub const YOUTUBE: Protocol = Protocol { post_id, answer, edits: true, deletes: false };
/// Of a project whose quota is used up by others.
pub const USED_UP_YOUTUBE: Protocol = Protocol { answer: used_up, ..YOUTUBE };
const KEY: &str = "simulator-token";

/// Even numbers begin threads; odd ones are replies.
fn post_id(number: usize) -> String {
    format!("youtube:{}", id(number))
}

fn id(number: usize) -> String {
    match number % 2 {
        0 => format!("Ugx{number}"),
        _ => format!("Ugx{}.{number}", number - 1),
    }
}

fn used_up(_: &[Entry], _: &Request) -> Response {
    error(StatusCode::FORBIDDEN, "quotaExceeded")
}

fn error(status: StatusCode, reason: &str) -> Response {
    let errors = json!([{"reason": reason, "domain": "youtube.commentThread", "message": "No."}]);
    (status, Json(json!({"error": {"code": status.as_u16(), "message": "No.", "errors": errors}}))).into_response()
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    if request.header("x-goog-api-key") != Some(KEY) {
        return error(StatusCode::BAD_REQUEST, "badRequest");
    }
    let video = request.query.get("videoId").map(String::as_str);
    match (request.path.as_str(), video) {
        ("/youtube/v3/i18nLanguages", _) => Json(json!({"items": [{"id": "en"}, {"id": "de"}]})).into_response(),
        ("/youtube/v3/search", _) => {
            let found = |id: &str| json!({"id": {"kind": "youtube#video", "videoId": id}});
            Json(json!({"items": [found("silent"), found("trains")]})).into_response()
        }
        ("/youtube/v3/commentThreads", Some("silent")) => error(StatusCode::FORBIDDEN, "commentsDisabled"),
        ("/youtube/v3/commentThreads", Some("trains")) => threads(entries, request),
        _ => error(StatusCode::NOT_FOUND, "videoNotFound"),
    }
}

fn threads(entries: &[Entry], request: &Request) -> Response {
    let size = request.number("maxResults").and_then(|size| usize::try_from(size).ok()).unwrap_or(20);
    let token = request.query.get("pageToken").and_then(|token| token.strip_prefix("at"));
    let begin = token.and_then(|token| token.parse::<usize>().ok()).unwrap_or(0);
    let threads: Vec<&[Entry]> = entries.chunks(2).rev().collect();
    let items: Vec<Value> = threads.iter().skip(begin).take(size).map(|parts| thread(parts)).collect();
    let mut answer = json!({ "items": items, "pageInfo": {"resultsPerPage": size} });
    if begin + size < threads.len() {
        answer["nextPageToken"] = format!("at{}", begin + size).into();
    }
    Json(answer).into_response()
}

fn thread(parts: &[Entry]) -> Value {
    let top = comment(&parts[0]);
    let replies: Vec<Value> = parts.iter().skip(1).map(comment).collect();
    let snippet = json!({"videoId": "trains", "topLevelComment": top, "totalReplyCount": replies.len()});
    let mut thread = json!({"id": top["id"], "snippet": snippet});
    if !replies.is_empty() {
        thread["replies"] = json!({ "comments": replies });
    }
    thread
}

fn comment(entry: &Entry) -> Value {
    json!({"id": id(entry.number), "snippet": {
        "textDisplay": entry.text, "textOriginal": entry.text, "authorDisplayName": "@bo",
        "authorChannelId": {"value": "UC7"}, "likeCount": 3, "publishedAt": entry.written(), "updatedAt": entry.changed(),
    }})
}
