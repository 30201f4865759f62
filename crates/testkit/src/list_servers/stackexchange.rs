//! The API of Stack Exchange for one site: questions by tag with answers and comments, for requests with a filter that was
//! made before. `quota_remaining` falls with each request; errors have status 400.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::cmp::Reverse;

pub const STACKEXCHANGE: Protocol = Protocol { post_id, answer, edits: true, deletes: false };
const FILTER: &str = "!made";

/// Of three items each, the first is the question, the second its answer, the third a comment on the answer.
fn post_id(number: usize) -> String {
    match number % 3 {
        2 => format!("stackexchange:stackoverflow/comment/{}", 100 + number),
        _ => format!("stackexchange:stackoverflow/{}", 100 + number),
    }
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    match request.path.as_str() {
        "/2.3/info" => wrapped(vec![json!({"total_questions": entries.len()})], false),
        "/2.3/filters/create" => wrapped(vec![json!({"filter": FILTER, "filter_type": "safe"})], false),
        "/2.3/questions" if request.query.get("site").map(String::as_str) != Some("stackoverflow") => {
            error(400, "bad_parameter", "No site found for name")
        }
        "/2.3/questions" if request.query.get("filter").map(String::as_str) != Some(FILTER) => {
            error(400, "bad_parameter", "Invalid filter specified")
        }
        "/2.3/questions" => questions(entries, request),
        _ => error(404, "no_method", "this method cannot be called"),
    }
}

fn error(id: u16, name: &str, message: &str) -> Response {
    let body = json!({"error_id": id, "error_name": name, "error_message": message});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn wrapped(items: Vec<Value>, has_more: bool) -> Response {
    Json(json!({"items": items, "has_more": has_more, "quota_max": 300, "quota_remaining": 280})).into_response()
}

fn questions(entries: &[Entry], request: &Request) -> Response {
    let mut questions: Vec<&[Entry]> = entries.chunks(3).collect();
    questions.sort_by_key(|parts| Reverse(activity(parts)));
    let size = request.number("pagesize").and_then(|size| usize::try_from(size).ok()).unwrap_or(30);
    let page = request.number("page").and_then(|page| usize::try_from(page).ok()).unwrap_or(1);
    let shown = questions.iter().skip((page - 1) * size).take(size).map(|parts| question(parts));
    wrapped(shown.collect(), questions.len() > page * size)
}

fn activity(parts: &[Entry]) -> i64 {
    parts.iter().map(Entry::changed_s).max().unwrap_or(0)
}

fn part(entry: &Entry, id: &str) -> Value {
    json!({
        id: 100 + entry.number, "body": entry.html(), "creation_date": entry.written_s(),
        "link": format!("https://stackoverflow.com/a/{}", 100 + entry.number),
        "owner": {"user_id": 7, "display_name": "bo"},
    })
}

fn question(parts: &[Entry]) -> Value {
    let mut question = part(&parts[0], "question_id");
    question["title"] = "Trains".into();
    question["last_activity_date"] = activity(parts).into();
    if let Some(entry) = parts.get(1) {
        let mut answer = part(entry, "answer_id");
        answer["question_id"] = question["question_id"].clone();
        answer["comments"] = parts.get(2).map(|entry| part(entry, "comment_id")).into_iter().collect();
        question["answers"] = json!([answer]);
    }
    question
}
