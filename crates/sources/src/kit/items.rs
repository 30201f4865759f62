//! Items of a platform's lists (comments, questions, reviews) as posts. The payload keeps the platform's own JSON, with
//! the place where it was found and the version that it is.

use crate::record::{Format, Origin, Parsed, TEXT_MAX_BYTES, checks};
use chrono::DateTime;
use domain::{Author, Post, PostId, Record, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

/// What is kept of an item.
#[derive(Serialize, Deserialize)]
pub(crate) struct Payload<'a> {
    /// What the item is, where a platform lists several kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    /// Where it was found: a forum's host, a site, a video, a country.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) place: String,
    /// The item as the platform sent it.
    #[serde(borrow)]
    pub(crate) item: &'a RawValue,
    /// When it was first read: used if the item has no date.
    pub(crate) read_at: Timestamp,
    /// The native id of the post, if this is an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// The native ids of the earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replaces: Vec<String>,
}

/// What an item says, whatever its platform.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fields {
    /// Unique within the platform and stable.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) author: Option<Author>,
    pub(crate) url: Option<String>,
    pub(crate) date: Option<Timestamp>,
    pub(crate) language: Option<String>,
    /// The platform shows that the author or a moderator deleted it.
    pub(crate) is_deleted: bool,
}

impl Fields {
    /// Changes when the words change.
    pub(crate) fn hash(&self) -> String {
        format!("{:016x}", xxh3_64(self.text.as_bytes()))
    }
}

/// How the items of a platform are read.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) format: Format,
    pub(crate) platform: &'static str,
    pub(crate) fields: fn(&Payload<'_>) -> Result<Fields, String>,
}

impl Reader {
    /// Reads a payload: the parser of the format.
    pub(crate) fn parse(&self, text: &str, origin: &Origin, parsed: &mut Parsed) {
        parsed.keep(self.record(text, origin), text.as_bytes());
    }

    fn record(&self, text: &str, origin: &Origin) -> Result<Record, String> {
        let payload: Payload<'_> = serde_json::from_str(text)
            .map_err(|error| format!("invalid payload of the format {}: {error}", self.format.name))?;
        let fields = (self.fields)(&payload)?;
        checks::text(&fields.text)?;
        let id = |native: &str| PostId::new(self.platform, native).map_err(|error| error.to_string());
        Ok(Record::Post(Box::new(Post {
            id: id(payload.version.as_deref().unwrap_or(&fields.id))?,
            source: origin.source.clone(),
            platform: self.platform.into(),
            text: fields.text,
            author: fields.author,
            url: fields.url,
            occurred_at: checks::bounded(fields.date, payload.read_at),
            received_at: origin.received_at,
            language_hint: fields.language,
            coordinates: None,
            place_name: None,
            repost_of: None,
            replaces: payload.replaces.iter().map(|native| id(native)).collect::<Result<_, _>>()?,
            reach: None,
            provenance: origin.provenance,
            topics_hint: Vec::new(),
            payload: text.to_owned(),
            payload_format: Some(self.format.name.into()),
        })))
    }
}

/// The item of a payload as a type.
pub(crate) fn item<'a, T: Deserialize<'a>>(payload: &Payload<'a>) -> Result<T, String> {
    serde_json::from_str(payload.item.get()).map_err(|error| format!("unexpected item: {error}"))
}

/// An author of whom the platform tells only the name.
pub(crate) fn named(username: Option<String>) -> Option<Author> {
    let username = username.filter(|name| !name.trim().is_empty())?;
    Some(Author { username: Some(username), ..Author::default() })
}

/// A date as RFC 3339.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// A title with the words below it.
pub(crate) fn titled(title: Option<&str>, words: &str) -> String {
    let (title, words) = (title.unwrap_or_default().trim(), words.trim());
    bounded(match (title, words) {
        ("", _) => words.to_owned(),
        (_, "") => title.to_owned(),
        _ => format!("{title}\n\n{words}"),
    })
}

/// A text within the length that posts may have.
pub(crate) fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_stands_above_the_words() {
        assert_eq!(titled(Some("A"), " one "), "A\n\none");
        assert_eq!((titled(Some("A"), ""), titled(None, "one")), ("A".into(), "one".into()));
        assert_eq!(titled(None, &"é".repeat(TEXT_MAX_BYTES)).len(), TEXT_MAX_BYTES);
    }
}
