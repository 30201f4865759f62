//! GitHub: issues, discussions and comments on both, their edits and deletions (webhook with the events `issues`,
//! `issue_comment`, `discussion`, `discussion_comment`). The ids are those of the source `github`.

use super::*;

pub(super) const CONVERTER: Converter = Converter {
    format: Format { name: "push-github-1", parse: |text, origin, parsed| CONVERTER.parse(text, origin, parsed) },
    item,
};

fn item(event: &Object) -> Result<Item, String> {
    let key = match text_at(event, &["event"]) {
        Some("issues") => "issue",
        Some("discussion") => "discussion",
        Some("issue_comment" | "discussion_comment") => "comment",
        _ => return Ok(Item::Nothing),
    };
    let thing =
        at(event, &["item", key]).and_then(Value::as_object).ok_or_else(|| format!("the event holds no {key}"))?;
    let id = text_at(thing, &["node_id"]).ok_or("the event names no node_id")?;
    let words = |title: Option<&str>, body: Option<&str>| {
        [title, body]
            .into_iter()
            .flatten()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n\n")
    };
    let (title, body) = (text_at(thing, &["title"]), text_at(thing, &["body"]));
    let text = words(title, body);
    let before = |key: &str| text_at(event, &["item", "changes", key, "from"]);
    let earlier = version(id, &words(before("title").or(title), before("body").or(body)));
    let current = version(id, &text);
    let (native, replaces) = match text_at(event, &["item", "action"]) {
        Some("opened" | "created") => (id.to_owned(), None),
        Some("edited") => (current, Some(vec![id.to_owned(), earlier])),
        // Of an edited thing the newest version is the one that is stored.
        Some("deleted") => return Ok(Item::Gone(vec![id.to_owned(), current])),
        _ => return Ok(Item::Nothing),
    };
    let on_pull_request = at(event, &["item", "issue", "pull_request"]).is_some();
    if on_pull_request || text.is_empty() {
        return Ok(Item::Nothing);
    }
    Ok(simple([
        ("id", Some(native.into())),
        ("text", Some(text.into())),
        ("created_at", at(thing, &["created_at"]).cloned()),
        ("username", at(thing, &["user", "login"]).cloned()),
        ("author_id", at(thing, &["user", "id"]).cloned()),
        ("url", at(thing, &["html_url"]).cloned()),
        ("replaces", replaces.map(Value::from)),
    ]))
}
