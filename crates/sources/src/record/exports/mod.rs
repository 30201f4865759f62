//! Records as platforms and tools export them: X's API v1.1 ([`x1`]), GNIP ([`gnip`]), ActivityStreams as Mastodon writes
//! them ([`activities`]), and lists and events of Bluesky ([`bluesky`]). Each is turned into the simple form to be read; the
//! record as it came is what is kept, with the name of its format.

mod activities;
mod bluesky;
mod gnip;
mod x1;

use super::simple::{self, Form, Hint};
use super::{Format, Origin, Parsed, Rejection};
use domain::Record;
use serde_json::{Map, Value};

/// What a record is, once it is read.
pub(crate) enum Item {
    /// In the simple form.
    Post(Value),
    /// The posts with these ids are gone.
    Gone(Vec<String>),
    /// Nothing to keep: no words, or not about a post.
    Nothing,
}

pub(crate) type Object = Map<String, Value>;

/// Turns records of a format into the simple form.
pub(crate) struct Converter {
    pub(crate) format: Format,
    pub(crate) item: fn(&Object) -> Result<Item, String>,
}

/// One kind of record.
struct Export {
    converter: Converter,
    /// In words, for people.
    about: &'static str,
    /// Whether an object is such a record.
    is: fn(&Object) -> bool,
}

const EXPORTS: [&Export; 4] = [&x1::EXPORT, &gnip::EXPORT, &activities::EXPORT, &bluesky::EXPORT];

/// The formats, by which stored records are read again.
pub(crate) const FORMATS: [Format; 4] = [
    x1::EXPORT.converter.format,
    gnip::EXPORT.converter.format,
    activities::EXPORT.converter.format,
    bluesky::EXPORT.converter.format,
];

/// Keys that stand in these records, and in few others.
pub(crate) fn hint(key: &str) -> Option<Hint> {
    let is_ours = matches!(
        key,
        "is_quote_status" | "retweeted_status" | "extended_tweet" | "favorited" | "truncated" // X's API v1.1
            | "verb" | "postedTime" // GNIP
            | "orderedItems" | "cc" | "object" // ActivityStreams
            | "feed" | "posts" | "commit" // Bluesky
    );
    is_ours.then_some(Hint::Export)
}

/// What an object is, in words; `None`: none of these.
pub(crate) fn about(object: &Object) -> Option<&'static str> {
    let list = list(object).and_then(|items| items.first()).and_then(Value::as_object);
    find(list.unwrap_or(object)).map(|export| export.about)
}

fn find(object: &Object) -> Option<&'static Export> {
    EXPORTS.into_iter().find(|export| (export.is)(object))
}

/// The items of a page.
fn list(object: &Object) -> Option<&Vec<Value>> {
    ["orderedItems", "feed", "posts"].iter().find_map(|key| object.get(*key)?.as_array())
}

/// Reads a record, or the items of a page; says whether it is one of these at all.
pub(crate) fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) -> bool {
    let Ok(object) = serde_json::from_str::<Object>(text.trim()) else { return false };
    let Some(items) = list(&object) else {
        let Some(export) = find(&object) else { return false };
        export.converter.read(&object, text.trim(), origin, parsed);
        return true;
    };
    for item in items {
        let found = item.as_object().and_then(|object| Some((find(object)?, object)));
        let payload = item.to_string();
        match found {
            Some((export, object)) => export.converter.read(object, &payload, origin, parsed),
            None => parsed.rejections.push(Rejection::new("an item of the list is no post", payload.as_bytes())),
        }
    }
    true
}

impl Converter {
    /// Reads a stored record again: the parser of the format.
    pub(crate) fn parse(&self, text: &str, origin: &Origin, parsed: &mut Parsed) {
        match serde_json::from_str::<Object>(text) {
            Ok(object) => self.read(&object, text, origin, parsed),
            Err(error) => parsed.rejections.push(Rejection::new(format!("malformed JSON: {error}"), text.as_bytes())),
        }
    }

    /// Reads a record that came in a larger one.
    pub(crate) fn read_value(&self, value: &Value, origin: &Origin, parsed: &mut Parsed) {
        match value.as_object() {
            Some(object) => self.read(object, &value.to_string(), origin, parsed),
            None => parsed.rejections.push(Rejection::new("not a JSON object", value.to_string().as_bytes())),
        }
    }

    fn read(&self, object: &Object, payload: &str, origin: &Origin, parsed: &mut Parsed) {
        match (self.item)(object) {
            Ok(Item::Nothing) => {
                parsed.notes.guess("records without words of their own (boosts, likes, deletions): left out", payload);
            }
            Ok(Item::Post(simple)) => {
                let record = self.record(&simple.to_string(), payload, origin, parsed);
                parsed.keep(record, payload.as_bytes());
            }
            Ok(Item::Gone(ids)) => {
                for id in ids {
                    let simple = serde_json::json!({ "id": id, "deleted": true }).to_string();
                    let record = self.record(&simple, payload, origin, parsed);
                    parsed.keep(record, payload.as_bytes());
                }
            }
            Err(reason) => parsed.rejections.push(Rejection::new(reason, payload.as_bytes())),
        }
    }

    fn record(&self, simple: &str, payload: &str, origin: &Origin, parsed: &mut Parsed) -> Result<Record, String> {
        let Form::Simple(fields) = simple::read(simple, |_| None)? else { return Err("not in the simple form".into()) };
        let mut record = simple::build(fields, payload.to_owned(), origin, &mut parsed.notes)?;
        if let Record::Post(post) = &mut record {
            post.payload_format = Some(self.format.name.into());
        }
        Ok(record)
    }
}

/// What stands at a path of keys.
pub(crate) fn at<'v>(object: &'v Object, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, key| value.get(key)).filter(|value| !value.is_null())
}

pub(crate) fn text_at<'v>(object: &'v Object, path: &[&str]) -> Option<&'v str> {
    at(object, path)?.as_str()
}

/// A simple object of what is there.
pub(crate) fn simple<const N: usize>(fields: [(&str, Option<Value>); N]) -> Item {
    let there = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Item::Post(Value::Object(there.collect()))
}
