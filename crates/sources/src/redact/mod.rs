//! Takes e-mail addresses and numbers of phones and cards out of posts before they are stored. A number counts only if it
//! is written as one: numbers of orders and invoices, prices, dates and ids are kept.

mod numbers;
mod queue;

use domain::Post;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use queue::RedactedQueue;

/// What can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Redact {
    Email,
    Phone,
    /// Numbers of payment cards, known by their issuers' ranges and their check digit.
    Card,
}

/// Everything that can be taken out.
pub const ALL: [Redact; 3] = [Redact::Email, Redact::Phone, Redact::Card];

impl Redact {
    /// What stands in its place.
    fn mark(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
        }
    }
}

/// A text without what `what` names; `None`: nothing of it is there.
pub fn redact(text: &str, what: &[Redact]) -> Option<String> {
    let without_addresses = what.contains(&Redact::Email).then(|| without_emails(text)).flatten();
    let rest = without_addresses.as_deref().unwrap_or(text);
    numbers::without(rest, what.contains(&Redact::Card), what.contains(&Redact::Phone)).or(without_addresses)
}

/// The same for every text of a JSON value. Keys, numbers, and texts that are ids, links or dates are kept.
fn redact_json(value: &mut Value, key: &str, what: &[Redact]) -> bool {
    match value {
        Value::String(text) => {
            let kept: &[Redact] = if is_identifier(key) { &[Redact::Email] } else { &ALL };
            let what: Vec<Redact> = what.iter().copied().filter(|one| kept.contains(one)).collect();
            let redacted = redact(text, &what);
            let changed = redacted.is_some();
            *text = redacted.unwrap_or_else(|| std::mem::take(text));
            changed
        }
        Value::Array(items) => {
            let mut changed = false;
            for item in items {
                changed |= redact_json(item, key, what);
            }
            changed
        }
        Value::Object(entries) => {
            let mut changed = false;
            for (key, value) in entries {
                changed |= redact_json(value, key, what);
            }
            changed
        }
        _ => false,
    }
}

/// Keys whose values name things: digits in them are no numbers of people.
fn is_identifier(key: &str) -> bool {
    let key = key.to_lowercase();
    let ends = ["id", "ids", "id_str", "uuid", "uri", "url", "link", "token", "cid", "rkey", "_at", "date", "time"];
    ends.iter().any(|end| key.ends_with(end)) || key == "payload_format"
}

/// A payload without what `what` names; `None`: nothing of it is there. What is no JSON is taken as text.
fn redact_payload(payload: &str, what: &[Redact]) -> Option<String> {
    // Most payloads hold nothing to take out, and need not be parsed. Escapes can hide a letter.
    if redact(payload, what).is_none() && !payload.contains("\\u") {
        return None;
    }
    match serde_json::from_str::<Value>(payload) {
        Ok(mut value) => redact_json(&mut value, "", what).then(|| value.to_string()),
        Err(_) => redact(payload, what),
    }
}

/// Takes it out of a post: of its words, its author and what is kept of the original.
fn redact_post(post: &mut Post, what: &[Redact]) {
    if let Some(text) = redact(&post.text, what) {
        post.text = text;
    }
    if let Some(payload) = redact_payload(&post.payload, what) {
        post.payload = payload;
    }
    if let Some(author) = &mut post.author {
        for field in [&mut author.username, &mut author.location] {
            // A name that is an address is no name; one mark for all would make them one author.
            *field = field.take().filter(|text| redact(text, what).is_none());
        }
    }
}

fn without_emails(text: &str) -> Option<String> {
    let is_local = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '%' | '+' | '-');
    let is_domain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-');
    let mut redacted = String::new();
    let mut kept = 0;
    for (at, _) in text.match_indices('@') {
        let begin = text[kept..at]
            .rfind(|letter| !is_local(letter))
            .map_or(kept, |before| kept + before + text[kept + before..].chars().next().map_or(0, char::len_utf8));
        let rest = &text[at + 1..];
        let domain = rest.find(|letter| !is_domain(letter)).map_or(rest, |end| &rest[..end]);
        let domain = domain.trim_end_matches(['.', '-']);
        let ending = domain.rsplit_once('.').map_or("", |(_, ending)| ending);
        let is_address = begin < at && ending.chars().count() >= 2 && ending.chars().all(char::is_alphabetic);
        // `@jo@social.example` is a handle of the fediverse.
        if is_address && !text[..begin].ends_with('@') {
            redacted.push_str(&text[kept..begin]);
            redacted.push_str(Redact::Email.mark());
            kept = at + 1 + domain.len();
        }
    }
    (kept > 0).then(|| redacted + &text[kept..])
}

#[cfg(test)]
mod tests;
