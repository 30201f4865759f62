//! The formats of payloads: which parser reads which, and which format a record of unknown origin has.

use crate::record::simple::Hint;
use crate::record::{ColumnMapping, Format, Origin, Parsed, Rejection, exports, repair, simple, table, text_of};
use crate::{KINDS, PUSHED, x};
use domain::PayloadRecords;

/// Every format: the simple form, those of exports, and those of the connectors.
fn all() -> impl Iterator<Item = Format> {
    let own = std::iter::once(simple::FORMAT).chain(exports::FORMATS).chain(PUSHED.iter().copied());
    own.chain(KINDS.iter().flat_map(|kind| kind.formats).copied())
}

/// What a key of an object tells about its format.
fn hint(key: &str) -> Option<Hint> {
    x::payload::hint(key).or_else(|| exports::hint(key))
}

/// What a JSON record is, in words.
pub(crate) fn describe(record: &[u8]) -> &'static str {
    let object = serde_json::from_slice::<serde_json::Map<_, _>>(record).unwrap_or_default();
    if let Some(about) = exports::about(&object) {
        return about;
    }
    let has = |key: &str| object.contains_key(key);
    match std::str::from_utf8(record).map(|text| simple::read(text, hint)) {
        Ok(Ok(simple::Form::Other)) if object.get("data").is_some_and(serde_json::Value::is_array) => {
            "pages of X's API v2"
        }
        Ok(Ok(simple::Form::Other)) => "posts of X's API v2",
        Ok(Ok(_)) if has("_type") && has("rawContent") => "posts collected by snscrape",
        Ok(Ok(_)) if has("tweet") => "posts of X",
        Ok(Ok(_)) if has("account") && has("content") => "statuses of Mastodon",
        _ => "records",
    }
}

/// Reads a record of a format that was stored with it, and adds what it gave to `parsed`. Without a format its keys tell.
pub fn parse(format: Option<&str>, bytes: &[u8], origin: &Origin, parsed: &mut Parsed) {
    let Some(name) = format else { return parse_any(bytes, origin, parsed) };
    let Some(format) = all().find(|format| format.name == name) else {
        let reason = format!("the payload format {name:?} is not known to this version");
        return parsed.rejections.push(Rejection::new(reason, bytes));
    };
    match text_of(bytes) {
        Ok(text) => (format.parse)(text, origin, parsed),
        Err(reason) => parsed.rejections.push(Rejection::new(reason, bytes)),
    }
}

/// Reads a payload that was stored with its format again ([`domain::ReadPayload`]).
pub fn read_stored(format: Option<&str>, payload: &str, origin: &Origin) -> PayloadRecords {
    let mut parsed = Parsed::default();
    parse(format, payload.as_bytes(), origin, &mut parsed);
    let rejections = parsed.rejections.into_iter().map(|rejection| rejection.reason).collect();
    PayloadRecords { records: parsed.records, rejections }
}

/// Reads one JSON record of a format that only its keys tell, and adds what it gave to `parsed`. One record can hold many
/// posts: a page of X's search does.
pub fn parse_any(bytes: &[u8], origin: &Origin, parsed: &mut Parsed) {
    let text = match text_of(bytes) {
        Ok(text) => text,
        Err(reason) => return parsed.rejections.push(Rejection::new(reason, bytes)),
    };
    if let Some(result) = table::parse_kept(text, origin, &mut parsed.notes) {
        return parsed.keep(result, bytes);
    }
    match simple::read(text, hint) {
        Err(reason) => match repair::repair(text).filter(|it| simple::read(it, hint).is_ok()) {
            Some(repaired) => {
                parsed.notes.guess("records with NaN or half an emoji: left out or replaced", text);
                parse_any(repaired.as_bytes(), origin, parsed);
            }
            None => {
                let hint = repair::suspect(text.trim_start()).map_or_else(String::new, |hint| format!("; {hint}"));
                parsed.rejections.push(Rejection::new(format!("{reason}{hint}"), bytes));
            }
        },
        Ok(simple::Form::Export(_)) if exports::parse(text, origin, parsed) => {}
        Ok(simple::Form::Simple(fields) | simple::Form::Export(fields)) => {
            let result = simple::build(fields, text.trim().to_owned(), origin, &mut parsed.notes);
            parsed.keep(result, bytes);
        }
        Ok(simple::Form::Other) => x::payload::parse(text, origin, parsed),
    }
}

/// The same for JSON whose keys are named by a mapping.
pub(crate) fn parse_mapped(bytes: &[u8], mapping: &ColumnMapping, origin: &Origin, parsed: &mut Parsed) {
    match mapping.apply(bytes) {
        Some(mapped) => parse_any(mapped.as_bytes(), origin, parsed),
        None => parse_any(bytes, origin, parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all().map(|format| format.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }
}
