//! Typeform: the answers in words of a filled-in form. Choices and numbers stay in the payload.

use super::*;

pub(super) const CONVERTER: Converter = Converter {
    format: Format { name: "push-typeform-1", parse: |text, origin, parsed| CONVERTER.parse(text, origin, parsed) },
    item,
};

fn item(event: &Object) -> Result<Item, String> {
    let response =
        at(event, &["form_response"]).and_then(Value::as_object).ok_or("the event holds no form_response")?;
    let answers = at(response, &["answers"]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let words = answers.iter().filter_map(|answer| answer.get("text")?.as_str()).map(str::trim);
    let words = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("\n\n");
    if words.is_empty() {
        return Ok(Item::Nothing);
    }
    Ok(simple([
        ("id", at(response, &["token"]).cloned()),
        ("text", Some(words.into())),
        ("created_at", at(response, &["submitted_at"]).cloned()),
    ]))
}
