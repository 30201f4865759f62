//! Activities of GNIP, the form of X's historical archives.

use super::{Converter, Export, Item, Object, at, simple, text_at};
use crate::record::Format;
use serde_json::Value;

pub(super) const EXPORT: Export = Export {
    converter: Converter {
        format: Format { name: "gnip-1", parse: |text, origin, parsed| EXPORT.converter.parse(text, origin, parsed) },
        item,
    },
    about: "activities of GNIP",
    is: |object| object.contains_key("verb") && object.contains_key("postedTime"),
};

/// `tag:search.twitter.com,2005:1901` is post 1901, `id:twitter.com:5` author 5.
fn last(object: &Object, path: &[&str]) -> Option<Value> {
    text_at(object, path)?.rsplit(':').next().map(Value::from)
}

fn words(activity: &Object) -> Option<&str> {
    text_at(activity, &["long_object", "body"]).or(text_at(activity, &["body"]))
}

fn item(activity: &Object) -> Result<Item, String> {
    let original = match text_at(activity, &["verb"]) {
        Some("share") => at(activity, &["object"]).and_then(Value::as_object),
        Some("post") => None,
        _ => return Ok(Item::Nothing),
    };
    let own = words(activity).ok_or("there is no body")?;
    let whole = original.and_then(words).zip(own.split_once(": ")).filter(|(_, (head, _))| head.starts_with("RT @"));
    let text = whole.map_or_else(|| own.to_owned(), |(whole, (head, _))| format!("{head}: {whole}"));
    Ok(simple([
        ("id", last(activity, &["id"])),
        ("text", Some(text.into())),
        ("created_at", at(activity, &["postedTime"]).cloned()),
        ("username", at(activity, &["actor", "preferredUsername"]).cloned()),
        ("author_id", last(activity, &["actor", "id"])),
        ("user_location", at(activity, &["actor", "location", "displayName"]).cloned()),
        ("followers", at(activity, &["actor", "followersCount"]).cloned()),
        // GNIP writes the latitude first.
        ("lat_lon", at(activity, &["geo", "coordinates"]).cloned()),
        ("place", at(activity, &["location", "displayName"]).cloned()),
        ("lang", at(activity, &["twitter_lang"]).filter(|lang| *lang != "und").cloned()),
        ("url", at(activity, &["link"]).cloned()),
        ("repost_of", original.and_then(|original| last(original, &["id"]))),
        ("platform", Some("x".into())),
    ]))
}
