//! Apple's feed of customer reviews of one app: ten pages of 50, a single entry that stands by itself instead of in a list,
//! and nothing at all where there are no reviews.

use super::{Entry, Protocol, Request};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::cmp::Reverse;

pub const APPSTORE: Protocol = Protocol { post_id, answer, edits: true, deletes: false };
const PER_PAGE: usize = 50;

fn post_id(number: usize) -> String {
    format!("appstore:{}", 9_000 + number)
}

fn answer(entries: &[Entry], request: &Request) -> Response {
    let page = request.path.strip_prefix("/us/rss/customerreviews/page=");
    let page = page.and_then(|rest| rest.strip_suffix("/id=123/sortby=mostrecent/json"));
    let Some(page) = page.and_then(|page| page.parse::<usize>().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !(1..=10).contains(&page) {
        let message = "CustomerReviews RSS page depth is limited to 10";
        return (StatusCode::BAD_REQUEST, message).into_response();
    }
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| Reverse((entry.changed_s(), entry.number)));
    let mut shown: Vec<Value> = sorted.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).map(review).collect();
    let mut feed = json!({"author": {"name": {"label": "iTunes Store"}}, "title": {"label": "Customer Reviews"}});
    match shown.len() {
        0 => {}
        1 => feed["entry"] = shown.remove(0),
        _ => feed["entry"] = shown.into(),
    }
    Json(json!({ "feed": feed })).into_response()
}

fn review(entry: &Entry) -> Value {
    json!({
        "author": {"uri": {"label": "https://itunes.apple.com/us/reviews/id7"}, "name": {"label": "bo"}},
        "updated": {"label": entry.changed()}, "im:rating": {"label": "2"}, "im:version": {"label": "1.0"},
        "id": {"label": (9_000 + entry.number).to_string()}, "title": {"label": "Trains"},
        "content": {"label": entry.text, "attributes": {"type": "text"}},
        "link": {"attributes": {"rel": "related", "href": "https://itunes.apple.com/us/review?id=123"}},
    })
}
