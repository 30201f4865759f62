//! Posts of Bluesky as its lists show them (an author's feed, a search), and events of Jetstream as they were captured.

use super::{Converter, Export, Item, Object, at, simple, text_at};
use crate::record::Format;
use chrono::DateTime;
use serde_json::Value;

pub(super) const EXPORT: Export = Export {
    converter: Converter {
        format: Format {
            name: "bluesky-1",
            parse: |text, origin, parsed| EXPORT.converter.parse(text, origin, parsed),
        },
        item,
    },
    about: "posts of Bluesky",
    is: |object| {
        is_event(object) || is_post(object) || at(object, &["post"]).and_then(Value::as_object).is_some_and(is_post)
    },
};

fn is_event(object: &Object) -> bool {
    object.contains_key("did") && object.contains_key("time_us")
}

fn is_post(object: &Object) -> bool {
    text_at(object, &["uri"]).is_some_and(|uri| uri.starts_with("at://")) && object.contains_key("record")
}

fn item(object: &Object) -> Result<Item, String> {
    if is_event(object) {
        return event(object);
    }
    let post = at(object, &["post"]).and_then(Value::as_object).unwrap_or(object);
    let record = |key: &str| at(post, &["record", key]).cloned();
    if text_at(post, &["record", "text"]).is_none_or(|text| text.trim().is_empty()) {
        return Ok(Item::Nothing);
    }
    Ok(simple([
        ("id", at(post, &["uri"]).cloned()),
        ("text", record("text")),
        ("created_at", record("createdAt").or(at(post, &["indexedAt"]).cloned())),
        ("username", at(post, &["author", "handle"]).cloned()),
        ("author_id", at(post, &["author", "did"]).cloned()),
        ("lang", record("langs")),
        ("platform", Some("bluesky".into())),
    ]))
}

fn event(event: &Object) -> Result<Item, String> {
    let of = |key: &str| text_at(event, &["commit", key]);
    let (Some("app.bsky.feed.post"), Some(key), Some(did)) = (of("collection"), of("rkey"), text_at(event, &["did"]))
    else {
        return Ok(Item::Nothing);
    };
    let id = format!("at://{did}/app.bsky.feed.post/{key}");
    if of("operation") == Some("delete") {
        return Ok(simple([
            ("id", Some(id.into())),
            ("deleted", Some(true.into())),
            ("platform", Some("bluesky".into())),
        ]));
    }
    let micros = at(event, &["time_us"]).and_then(Value::as_i64).and_then(DateTime::from_timestamp_micros);
    if text_at(event, &["commit", "record", "text"]).is_none_or(|text| text.trim().is_empty()) {
        return Ok(Item::Nothing);
    }
    Ok(simple([
        ("id", Some(id.into())),
        ("text", at(event, &["commit", "record", "text"]).cloned()),
        ("created_at", micros.map(|at| at.to_rfc3339().into())),
        ("author_id", Some(did.into())),
        ("lang", at(event, &["commit", "record", "langs"]).cloned()),
        ("platform", Some("bluesky".into())),
    ]))
}
