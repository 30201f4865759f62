//! Trustpilot: reviews of services and products, their changes and deletions. Trustpilot does not sign its calls: the
//! secret is the password in the address of the subscription.

use super::*;

pub(super) const CONVERTER: Converter = Converter {
    format: Format { name: "push-trustpilot-1", parse: |text, origin, parsed| CONVERTER.parse(text, origin, parsed) },
    item,
};

pub(super) fn read(body: &Value, origin: &Origin, parsed: &mut Parsed) -> Result<(), String> {
    let events = body.get("events").and_then(Value::as_array).ok_or("the body has no events")?;
    events.iter().for_each(|event| CONVERTER.read_value(event, origin, parsed));
    Ok(())
}

fn item(event: &Object) -> Result<Item, String> {
    let data = |key: &str| text_at(event, &["eventData", key]);
    let id = data("id").ok_or("the event names no review")?;
    let text = [data("title"), data("text")].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let kind = text_at(event, &["eventName"]).unwrap_or_default();
    if kind.ends_with("-deleted") {
        return Ok(simple([("id", Some(id.into())), ("deleted", Some(true.into()))]));
    }
    let is_edit = kind.ends_with("-updated");
    if !(is_edit || kind.ends_with("-created")) || !kind.contains("review") {
        return Ok(Item::Nothing);
    }
    let native = if is_edit { version(id, &text) } else { id.to_owned() };
    Ok(simple([
        ("id", Some(native.into())),
        ("text", Some(text.into())),
        ("created_at", data("createdAt").map(Value::from)),
        ("author_id", at(event, &["eventData", "consumer", "id"]).cloned()),
        (
            "username",
            at(event, &["eventData", "consumer", "name"])
                .or(at(event, &["eventData", "consumer", "displayName"]))
                .cloned(),
        ),
        ("lang", data("language").map(Value::from)),
        ("replaces", is_edit.then(|| id.into())),
    ]))
}
