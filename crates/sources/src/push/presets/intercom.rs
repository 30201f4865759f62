//! Intercom: what customers write in conversations (topics `conversation.user.created` and `conversation.user.replied`).

use super::*;

pub(super) const CONVERTER: Converter = Converter {
    format: Format { name: "push-intercom-1", parse: |text, origin, parsed| CONVERTER.parse(text, origin, parsed) },
    item,
};

fn item(event: &Object) -> Result<Item, String> {
    let conversation = at(event, &["data", "item"]).and_then(Value::as_object).ok_or("the event holds no item")?;
    let part = match text_at(event, &["topic"]) {
        Some("conversation.user.created") => at(conversation, &["source"]),
        Some("conversation.user.replied") => {
            at(conversation, &["conversation_parts", "conversation_parts"]).and_then(|parts| parts.as_array()?.last())
        }
        _ => return Ok(Item::Nothing),
    };
    let part = part.and_then(Value::as_object).ok_or("the conversation holds no message")?;
    let words = text_at(part, &["body"]).unwrap_or_default();
    if words.trim().is_empty() {
        return Ok(Item::Nothing);
    }
    let id = |object: &Object| at(object, &["id"]).map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    let whole = id(conversation).zip(id(part)).map(|(conversation, part)| format!("{conversation}-{part}"));
    Ok(simple([
        ("id", Some(whole.ok_or("the message has no id")?.into())),
        ("text", Some(words.into())),
        ("created_at", at(part, &["created_at"]).or(at(conversation, &["created_at"])).cloned()),
        ("author_id", at(part, &["author", "id"]).cloned()),
    ]))
}
