//! Activities of ActivityStreams, as in the `outbox.json` of Mastodon's archive and of other servers of the fediverse.

use super::{Converter, Export, Item, Object, at, simple, text_at};
use crate::record::Format;
use serde_json::Value;

pub(super) const EXPORT: Export = Export {
    converter: Converter {
        format: Format {
            name: "activitystreams-1",
            parse: |text, origin, parsed| EXPORT.converter.parse(text, origin, parsed),
        },
        item,
    },
    about: "activities of the fediverse (Mastodon's archive)",
    is: |object| object.contains_key("actor") && object.contains_key("object") && object.contains_key("type"),
};

/// `https://social.example/users/petra` is petra@social.example.
fn username(actor: &str) -> Option<Value> {
    let address = url::Url::parse(actor).ok()?;
    let name = address.path_segments()?.next_back()?.trim_start_matches('@').to_owned();
    (!name.is_empty()).then(|| format!("{name}@{}", address.host_str().unwrap_or_default()).into())
}

fn item(activity: &Object) -> Result<Item, String> {
    // A boost names the post of another; the words are not there.
    let Some(note) = at(activity, &["object"]).and_then(Value::as_object) else { return Ok(Item::Nothing) };
    let content = text_at(note, &["content"]).unwrap_or_default();
    if text_at(activity, &["type"]) != Some("Create") || content.trim().is_empty() {
        return Ok(Item::Nothing);
    }
    // The content warning stands above the words, as on the page.
    let warning = text_at(note, &["summary"]).filter(|warning| !warning.trim().is_empty());
    let text = warning.map_or_else(|| content.to_owned(), |warning| format!("<p>{warning}</p>{content}"));
    let languages = at(note, &["contentMap"]).and_then(Value::as_object);
    Ok(simple([
        ("id", at(note, &["id"]).cloned()),
        ("text", Some(text.into())),
        ("created_at", at(note, &["published"]).or(at(activity, &["published"])).cloned()),
        ("username", text_at(activity, &["actor"]).and_then(username)),
        ("author_id", at(activity, &["actor"]).cloned()),
        ("lang", languages.and_then(|all| all.keys().next()).map(|language| language.as_str().into())),
        ("url", at(note, &["url"]).cloned()),
        ("platform", Some("mastodon".into())),
    ]))
}
