//! Posts of X's API v1.1, also with the extended text and without, as older collectors stored them.

use super::{Converter, Export, Item, Object, at, simple, text_at};
use crate::record::Format;
use serde_json::Value;

pub(super) const EXPORT: Export = Export {
    converter: Converter {
        format: Format { name: "x-v1.1", parse: |text, origin, parsed| EXPORT.converter.parse(text, origin, parsed) },
        item,
    },
    about: "posts of X's API v1.1",
    is: |object| object.contains_key("id_str") && object.contains_key("created_at") && object.contains_key("user"),
};

/// The whole text: older answers carry it apart.
fn words(post: &Object) -> Option<&str> {
    text_at(post, &["extended_tweet", "full_text"]).or(text_at(post, &["full_text"])).or(text_at(post, &["text"]))
}

fn item(post: &Object) -> Result<Item, String> {
    let own = words(post).ok_or("there is no text")?;
    let original = at(post, &["retweeted_status"]).and_then(Value::as_object);
    // A repost's own text is cut short.
    let whole = original.and_then(words).zip(own.split_once(": ")).filter(|(_, (head, _))| head.starts_with("RT @"));
    let text = whole.map_or_else(|| own.to_owned(), |(whole, (head, _))| format!("{head}: {whole}"));
    let user = |key: &str| at(post, &["user", key]).cloned();
    Ok(simple([
        ("id", at(post, &["id_str"]).cloned()),
        ("text", Some(text.into())),
        ("created_at", at(post, &["created_at"]).cloned()),
        ("username", user("screen_name")),
        ("author_id", user("id_str")),
        ("user_location", user("location")),
        ("followers", user("followers_count")),
        ("lon_lat", at(post, &["coordinates", "coordinates"]).cloned()),
        ("place", at(post, &["place", "full_name"]).cloned()),
        ("lang", at(post, &["lang"]).filter(|lang| *lang != "und").cloned()),
        ("repost_of", original.and_then(|original| at(original, &["id_str"])).cloned()),
        ("platform", Some("x".into())),
    ]))
}
