//! Discourse: posts of a forum, their edits and deletions (webhook "Post Event"). The ids are those of the source `discourse`.

use super::*;
use domain::markup::html_to_text;

pub(super) const CONVERTER: Converter = Converter {
    format: Format { name: "push-discourse-1", parse: |text, origin, parsed| CONVERTER.parse(text, origin, parsed) },
    item,
};

/// Most versions that an edit replaces.
const VERSIONS_MAX: u64 = 30;

fn item(event: &Object) -> Result<Item, String> {
    let Some(post) = at(event, &["item", "post"]).and_then(Value::as_object) else { return Ok(Item::Nothing) };
    let host = text_at(event, &["place"]).unwrap_or_default();
    let number = at(post, &["id"]).and_then(Value::as_u64).ok_or("the post has no id")?;
    let id = format!("{host}/{number}");
    let count = at(post, &["version"]).and_then(Value::as_u64).unwrap_or(1);
    let of = |version: u64| if version <= 1 { id.clone() } else { format!("{id}#v{version}") };
    match text_at(event, &["event"]) {
        Some("post_destroyed") => return Ok(simple([("id", Some(of(count).into())), ("deleted", Some(true.into()))])),
        Some("post_created" | "post_edited" | "post_recovered") => {}
        _ => return Ok(Item::Nothing),
    }
    let words = html_to_text(text_at(post, &["cooked"]).unwrap_or_default());
    let first = at(post, &["post_number"]).and_then(Value::as_u64) == Some(1);
    let title = text_at(post, &["topic_title"]).filter(|_| first);
    let text = [title, Some(words.trim())].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let earlier: Vec<Value> =
        (count.saturating_sub(VERSIONS_MAX).max(1)..count).map(|version| of(version).into()).collect();
    let address = text_at(post, &["topic_slug"]).zip(at(post, &["topic_id"])).zip(at(post, &["post_number"]));
    Ok(simple([
        ("id", Some(of(count).into())),
        ("text", Some(text.into())),
        ("created_at", at(post, &["created_at"]).cloned()),
        ("username", text_at(post, &["username"]).map(|name| format!("{name}@{host}").into())),
        ("author_id", at(post, &["user_id"]).map(|author| format!("{author}@{host}").into())),
        ("url", address.map(|((slug, topic), post)| format!("https://{host}/t/{slug}/{topic}/{post}").into())),
        ("replaces", (!earlier.is_empty()).then(|| earlier.into())),
    ]))
}
