//! Zendesk: tickets and the comments of customers on them. A webhook is subscribed to the events "ticket created" and
//! "comment added"; the body of a trigger is of one's own making and may have the simple form.

use super::*;

pub(super) const CONVERTER: Converter = Converter { format: Format { name: "push-zendesk-1", parse }, item };

/// Rejected bodies of triggers are read again as well.
fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    match serde_json::from_str(text) {
        Ok(body) => read(&body, origin, parsed),
        Err(error) => parsed.rejections.push(Rejection::new(format!("malformed JSON: {error}"), text.as_bytes())),
    }
}

pub(super) fn read(body: &Value, origin: &Origin, parsed: &mut Parsed) {
    match body.get("zendesk_event_version") {
        Some(_) => CONVERTER.read_value(body, origin, parsed),
        None => formats::parse_any(body.to_string().as_bytes(), origin, parsed),
    }
}

fn item(event: &Object) -> Result<Item, String> {
    let kind = text_at(event, &["type"]).unwrap_or_default();
    let detail = |key: &str| at(event, &["detail", key]);
    let ticket = detail("id").map(plain).ok_or("the event names no ticket")?;
    match kind.rsplit(':').next().unwrap_or_default() {
        "ticket.created" => {
            let title = text_at(event, &["detail", "subject"]).unwrap_or_default();
            let words = text_at(event, &["detail", "description"]).unwrap_or_default();
            Ok(simple([
                ("id", Some(format!("ticket-{ticket}").into())),
                ("text", Some(format!("{title}\n\n{words}").trim().into())),
                ("created_at", detail("created_at").or(at(event, &["time"])).cloned()),
                ("author_id", detail("requester_id").map(plain).map(Value::from)),
            ]))
        }
        "ticket.comment_added" => {
            let comment = |key: &str| at(event, &["event", "comment", key]);
            let by_staff = at(event, &["event", "comment", "author", "is_staff"]) == Some(&Value::Bool(true));
            if by_staff || comment("is_public") == Some(&Value::Bool(false)) {
                return Ok(Item::Nothing);
            }
            let id = comment("id").map(plain).ok_or("the comment has no id")?;
            Ok(simple([
                ("id", Some(format!("ticket-{ticket}-{id}").into())),
                ("text", comment("body").cloned()),
                ("created_at", at(event, &["time"]).cloned()),
                ("author_id", at(event, &["event", "comment", "author", "id"]).map(plain).map(Value::from)),
            ]))
        }
        _ => Ok(Item::Nothing),
    }
}

/// Ids come as texts and as numbers.
fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}
