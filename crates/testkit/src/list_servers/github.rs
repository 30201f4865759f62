//! GitHub's REST API: issues, pull requests among them, and comments of one repository, sorted by their last change, with
//! entity tags and the headers of the rate limit; and its GraphQL, for discussions.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::cmp::Reverse;

pub const GITHUB: Protocol = Protocol { post_id, answer, edits: true, deletes: false };

/// Of a repository where people discuss only.
pub const GITHUB_DISCUSSIONS: Protocol = Protocol { post_id: discussion_post_id, answer: discussed, ..GITHUB };
const TOKEN: &str = "Bearer simulator-token";

/// Even numbers are discussions, odd ones replies to a comment on it that has no words.
fn discussion_post_id(number: usize) -> String {
    format!("github:D_{number}")
}

fn discussed(entries: &[Entry], request: &Request) -> Response {
    if request.path != "/graphql" {
        return answer(&[], request);
    }
    if request.header("authorization") != Some(TOKEN) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"message": "Bad credentials"}))).into_response();
    }
    let asked: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let variables = &asked["variables"];
    if (variables["owner"].as_str(), variables["name"].as_str()) != (Some("octo"), Some("trains")) {
        let mistake = json!({"type": "NOT_FOUND", "message": "Could not resolve to a Repository"});
        return Json(json!({"data": {"repository": null}, "errors": [mistake]})).into_response();
    }
    let begin = variables["after"].as_str().and_then(|after| after.parse::<usize>().ok()).unwrap_or(0);
    let mut all: Vec<&[Entry]> = entries.chunks(2).collect();
    all.sort_by_key(|parts| Reverse(parts.iter().map(Entry::changed_s).max()));
    let nodes: Vec<Value> = all.iter().skip(begin).take(20).map(|parts| discussion(parts)).collect();
    let end = begin + nodes.len();
    let info = json!({"hasNextPage": end < all.len(), "endCursor": end.to_string()});
    Json(json!({"data": {"repository": {"discussions": {"pageInfo": info, "nodes": nodes}}}})).into_response()
}

fn discussion(parts: &[Entry]) -> Value {
    let part = |entry: &Entry| {
        json!({
            "node_id": format!("D_{}", entry.number), "html_url": "https://github.com/octo/trains/discussions/1",
            "created_at": entry.written(), "body": entry.text, "user": {"login": "bo"},
        })
    };
    let mut discussion = part(&parts[0]);
    discussion["title"] = "Trains".into();
    discussion["updated_at"] = parts.iter().max_by_key(|entry| entry.changed_s()).map(Entry::changed).into();
    let replies: Vec<Value> = parts.iter().skip(1).map(part).collect();
    let mut comment = part(&parts[0]);
    comment["node_id"] = "DC_0".into();
    comment["body"] = "".into();
    comment["replies"] = json!({ "nodes": replies });
    discussion["comments"] = json!({"nodes": [comment]});
    discussion
}

/// Even numbers are issues, odd ones comments.
fn post_id(number: usize) -> String {
    format!("github:{}", node_id(number))
}

fn node_id(number: usize) -> String {
    format!("{}_kwDO{number}", if number.is_multiple_of(2) { "I" } else { "IC" })
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    let is_issue = match request.path.as_str() {
        "/repos/octo/trains" => {
            return Json(json!({"full_name": "octo/trains", "open_issues_count": entries.len()})).into_response();
        }
        "/repos/octo/trains/issues" => true,
        "/repos/octo/trains/issues/comments" => false,
        _ => return (StatusCode::NOT_FOUND, Json(json!({"message": "Not Found", "status": "404"}))).into_response(),
    };
    if request.header("user-agent").is_none() {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut sorted: Vec<&Entry> = entries.iter().filter(|entry| entry.number.is_multiple_of(2) == is_issue).collect();
    sorted.sort_by_key(|entry| Reverse((entry.changed_s(), entry.number)));
    let etag = format!("W/\"{}-{:?}\"", sorted.len(), sorted.first().map(|entry| entry.version));
    if request.header("if-none-match") == Some(&etag) {
        return (StatusCode::NOT_MODIFIED, [("etag", etag)]).into_response();
    }
    let limit = request.number("per_page").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(30);
    let page = request.number("page").and_then(|page| usize::try_from(page).ok()).unwrap_or(1);
    let shown = sorted.into_iter().skip((page - 1) * limit).take(limit);
    let mut items: Vec<Value> = shown.map(item).collect();
    // A page is as long with a pull request.
    if page == 1 && items.len() < limit {
        items.push(pull_request());
    }
    ([("etag", etag), ("x-ratelimit-remaining", "59".into())], Json(items)).into_response()
}

fn item(entry: &Entry) -> Value {
    let mut item = json!({
        "node_id": node_id(entry.number), "id": entry.number, "body": entry.text, "user": {"login": "bo", "id": 7},
        "created_at": entry.written(), "updated_at": entry.changed(),
        "html_url": format!("https://github.com/octo/trains/issues/{}", entry.number),
    });
    if entry.number.is_multiple_of(2) {
        item["title"] = "Trains".into();
    }
    item
}

fn pull_request() -> Value {
    json!({
        "node_id": "PR_1", "id": 9, "title": "Fix", "body": "It", "user": {"login": "bo", "id": 7}, "pull_request": {},
        "created_at": "2026-10-01T10:00:00Z", "updated_at": "2026-10-01T10:00:00Z",
        "html_url": "https://github.com/octo/trains/pull/9",
    })
}
