//! Our own simple form of a post, for files and pushes: one flat JSON object.
//!
//! | field | also understood as | what |
//! |---|---|---|
//! | `id` | `id_str`, `tweet_id`, `native_id`, `guid`, `uri`; `post_id` with its platform in front | the platform's own id; without one it is made of author, date and text |
//! | `text` (needed) | `full_text`, `raw_content`, `content`, `body`, `message`, `review`, `tweet` | the words, at most 64 kB; HTML becomes plain text |
//! | `created_at` (needed) | `timestamp`, `published_at`, `occurred_at`, `date`, `created`, `created_utc`; a day in one field and a clock in `time` with the offset in `timezone` | RFC 3339, X's old form, RFC 2822, `2026-11-23 07:36` (UTC), or seconds, milliseconds or microseconds since 1970 |
//! | `username` | `acct`, `screen_name`, `author`, `user`, `handle`, `user_name`, `account` | handle; or an object `{id, username, location, followers}` |
//! | `author_id` | `user_id` | the platform's id of the author |
//! | `user_location` | `author_location`, `location` | what the author says about where he lives |
//! | `followers` | `followers_count`, `user_followers`, `author_followers` | how many follow the author |
//! | `lat_lon` | `coordinates`, `geo`, `lon_lat`, or `lat`/`latitude` with `lon`/`lng`/`longitude` | `[lat, lon]`, `"lat,lon"`, `{lat, lon}`, or a GeoJSON point |
//! | `place` | `place_name` | the place attached to the post |
//! | `lang` | `language`, `langs` | BCP 47, a hint |
//! | `url` | `link`, `permalink` | where people can read it |
//! | `reach` | `impressions`, `views`, `view_count` | how many people it may have reached |
//! | `repost_of` | `retweet_of` | id of the post that it repeats |
//! | `replaces` | | ids of earlier versions |
//! | `platform` | | lower case; else the platform given for the file or source |
//! | `deleted` | | `true`: the post is gone, only its id is needed |
//!
//! Names may be written as in `createdAt` or `Created At`, and a post may be wrapped as `tweet` or `record`. Other fields
//! are kept in the payload, counted ([`Notes`]) and otherwise ignored. A field that is null, blank or what programs
//! write for nothing (`nan`, `None`) counts as not there; when a post has several names for the same thing, the one named
//! first here counts.

use super::names::{FIELDS, Field, known};
use super::value::{Key, Value};
use super::{Format, Notes, Origin, PLATFORM_ASSUMED, Parsed, checks, date};
use domain::markup;
use domain::{Author, Coordinates, Deletion, Post, PostId, Record, Timestamp};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// The simple form.
pub(crate) const FORMAT: Format = Format { name: "simple", parse };

/// The fields of one post, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    known: [Option<(u8, Value<'a>)>; FIELDS],
    /// Keys that are no field.
    unused: Vec<Cow<'a, str>>,
}

/// Added to the rank of fields within a wrapper.
const WRAPPED_RANK: u8 = 100;
/// Most unused keys that one record is told about.
const UNUSED_MAX: usize = 100;
/// Most earlier versions of one post.
const VERSIONS_MAX: usize = 100;

impl<'a> Fields<'a> {
    /// Keeps the value unless a better name for the same thing is there.
    pub(crate) fn put(&mut self, field: Field, rank: u8, value: Value<'a>) {
        let blank = match &value {
            Value::Null => true,
            Value::Text(text) => field != Field::Text && markup::is_missing(text),
            _ => false,
        };
        let slot = &mut self.known[field as usize];
        if !blank && slot.as_ref().is_none_or(|(kept, _)| rank < *kept) {
            *slot = Some((rank, value));
        }
    }

    /// Keeps a field of a wrapped post, unless it stands outside as well, or counts its key as unused.
    fn put_wrapped(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        match known(&name) {
            Some((field, rank)) => self.put(field, rank + WRAPPED_RANK, value),
            None => self.skip(name),
        }
    }

    fn skip(&mut self, name: Cow<'a, str>) {
        if self.unused.len() < UNUSED_MAX {
            self.unused.push(name);
        }
    }

    fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.known[field as usize].as_ref().map(|(_, value)| value)
    }

    fn take(&mut self, field: Field) -> Option<Value<'a>> {
        self.known[field as usize].take().map(|(_, value)| value)
    }

    fn text(&mut self, field: Field) -> Option<String> {
        self.take(field).and_then(Value::into_text).map(Cow::into_owned)
    }

    /// An id beside the post's own; one that lost digits is not taken.
    fn id(&mut self, field: Field, notes: &mut Notes) -> Option<String> {
        let value = self.take(field)?;
        // A whole post where its id is meant.
        let value = value.get("id").cloned().unwrap_or(value);
        let lost = match &value {
            Value::Float(number) => Some(number.to_string()),
            Value::Text(text) if checks::has_lost_digits(text.trim()) => Some(text.trim().to_owned()),
            _ => None,
        };
        if let Some(lost) = lost {
            notes.guess("ids of authors and reposts that lost digits: left out", &lost);
            return None;
        }
        value.into_text().map(Cow::into_owned)
    }
}

/// Which form a JSON object has.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    Simple(Box<Fields<'a>>),
    /// The keys are those of a platform's own format.
    Other,
    /// The keys are those of an export, or of a post in the simple form that has such keys of its own.
    Export(Box<Fields<'a>>),
}

/// What a key tells about a platform's own format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// It stands in a message around a post, and the text does not stand beside it.
    Message,
    /// It stands in a post, and the simple form has no use for it.
    Post,
    /// It stands in an export ([`super::exports`]).
    Export,
}

/// Tells a platform's own format by a key.
type Hints = fn(&str) -> Option<Hint>;

/// Reads the fields, or sees by the keys that the object has another format.
pub(crate) fn read(text: &str, hints: Hints) -> Result<Form<'_>, String> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if !trimmed.starts_with('{') {
        let start: String = trimmed.chars().take(20).collect();
        return Err(format!("not a JSON object: it begins with {start:?}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(trimmed);
    let form = deserializer.deserialize_map(FormVisitor { hints }).and_then(|form| deserializer.end().map(|()| form));
    form.map_err(|error| format!("malformed JSON: {error}"))
}

struct FormVisitor {
    hints: Hints,
}

impl<'de> Visitor<'de> for FormVisitor {
    type Value = Form<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form<'de>, A::Error> {
        let mut fields = Box::<Fields>::default();
        let (mut message, mut post, mut export) = (false, false, false);
        while let Some(Key(key)) = map.next_key()? {
            match (self.hints)(&key) {
                Some(Hint::Message) => message = true,
                Some(Hint::Post) => post = true,
                Some(Hint::Export) => export = true,
                None => {}
            }
            if matches!(key.as_ref(), "tweet" | "record") {
                match map.next_value()? {
                    Value::Map(inner) => inner.into_iter().for_each(|(name, value)| fields.put_wrapped(name, value)),
                    value => fields.put_wrapped(key, value),
                }
            } else if let Some((field, rank)) = known(&key) {
                fields.put(field, rank, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                fields.skip(key);
            }
        }
        // A platform's own posts have neither a platform nor a plain username, and its messages no text beside the post.
        let own = fields.get(Field::Platform).is_some() || matches!(fields.get(Field::Username), Some(Value::Text(_)));
        let text = fields.get(Field::Text).is_some();
        let other = (message && !text) || (post && !(text && own));
        Ok(match (other, export && !(text && own)) {
            (true, _) => Form::Other,
            (_, true) => Form::Export(fields),
            _ => Form::Simple(fields),
        })
    }
}

/// Reads a record that is known to have the simple form.
fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    let fields = match read(text, |_| None) {
        Ok(Form::Simple(fields)) => Ok(fields),
        Ok(_) => Err("the record has another form".to_owned()),
        Err(reason) => Err(reason),
    };
    let record = fields.and_then(|fields| build(fields, text.trim().to_owned(), origin, &mut parsed.notes));
    parsed.keep(record, text.as_bytes());
}

/// The link of the post, unless it leads elsewhere than into the web.
fn link(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<String> {
    let link = fields.text(Field::Url)?;
    if !checks::is_link(&link) {
        notes.guess("links that are not http or https: they were left out", &link);
        return None;
    }
    Some(link)
}

/// A record of the fields. `payload` is what the post can be rebuilt from.
pub(crate) fn build(
    mut fields: Box<Fields<'_>>,
    payload: String,
    origin: &Origin,
    notes: &mut Notes,
) -> Result<Record, String> {
    let (platform, id) = identity(&mut fields, origin, notes)?;
    if matches!(fields.take(Field::Deleted), Some(Value::Bool(true))) {
        let id = id.ok_or("a deletion needs the id of its post")?;
        let id = PostId::new(&platform, &id).map_err(|error| error.to_string())?;
        return Ok(Record::Deletion(Deletion { id, source: origin.source.clone(), received_at: origin.received_at }));
    }
    let written = text(&mut fields)?;
    let text = shown(&written, &platform, notes);
    checks::text(&text)?;
    let occurred_at = checks::occurred_at(created_at(&mut fields, notes)?, origin.received_at)?;
    let author = author(&mut fields, notes);
    let native = id.unwrap_or_else(|| {
        notes.guess("posts without an id: it was made of author, date and text", &text);
        made_id(&written, occurred_at, author.as_ref())
    });
    let post_id = |native: &str| PostId::new(&platform, native).map_err(|error| error.to_string());
    let id = post_id(&native)?;
    let username = author.as_ref().and_then(|author| author.username.as_deref());
    let url = link(&mut fields, notes).or_else(|| domain::platform::post_url(&platform, username, &native));
    let repost_of = fields.id(Field::RepostOf, notes).map(|native| post_id(native.trim())).transpose()?;
    let record = Record::Post(Box::new(Post {
        id,
        source: origin.source.clone(),
        text,
        url,
        occurred_at,
        received_at: origin.received_at,
        language_hint: language(&mut fields),
        coordinates: coordinates(&mut fields),
        place_name: fields.take(Field::Place).and_then(place_name),
        repost_of,
        replaces: replaces(fields.take(Field::Replaces))?
            .iter()
            .map(|native| post_id(native))
            .collect::<Result<_, _>>()?,
        reach: fields.take(Field::Reach).and_then(|reach| reach.as_count()),
        provenance: origin.provenance,
        topics_hint: Vec::new(),
        author,
        platform,
        payload,
        payload_format: Some(FORMAT.name.into()),
    }));
    fields.unused.iter().for_each(|key| notes.unused(key));
    Ok(record)
}

/// The words, as they were written.
fn text<'a>(fields: &mut Fields<'a>) -> Result<Cow<'a, str>, String> {
    let text = match fields.take(Field::Text) {
        Some(Value::Text(text)) => text,
        Some(_) => return Err("the text is not a text".into()),
        None if fields.unused.is_empty() => return Err("there is no text".into()),
        None => {
            let keys: Vec<&str> = fields.unused.iter().take(20).map(AsRef::as_ref).collect();
            return Err(format!("there is no text; not known are the keys {}", keys.join(", ")));
        }
    };
    checks::text(&text)?;
    Ok(text)
}

/// The words, as people see them.
fn shown(written: &str, platform: &str, notes: &mut Notes) -> String {
    if domain::platform::escapes_text(platform) {
        return markup::decode_entities(written).into_owned();
    }
    if markup::is_html(written) {
        notes.guess("texts in HTML: made plain", written);
        return markup::html_to_text(written);
    }
    written.to_owned()
}

/// The platform and, when given, the native id.
fn identity(fields: &mut Fields<'_>, origin: &Origin, notes: &mut Notes) -> Result<(String, Option<String>), String> {
    let platform = fields.text(Field::Platform).unwrap_or_else(|| match origin.platform.as_str() {
        "" => {
            notes.guess("posts without a platform: x was taken (--platform names another)", "");
            PLATFORM_ASSUMED.to_owned()
        }
        known => known.to_owned(),
    });
    if let Some(whole) = fields.text(Field::PostId) {
        // An export of ours carries the platform in the id.
        if let Some((platform, native)) =
            whole.split_once(':').filter(|(platform, _)| checks::platform(platform).is_ok())
        {
            return Ok((platform.to_owned(), Some(native.to_owned())));
        }
        checks::platform(&platform)?;
        return Ok((platform, Some(whole)));
    }
    checks::platform(&platform)?;
    match fields.take(Field::Id) {
        None => Ok((platform, None)),
        Some(Value::Float(number)) => Err(lost_digits(&number.to_string())),
        Some(id) => match id.into_text() {
            Some(id) if checks::has_lost_digits(id.trim()) => Err(lost_digits(id.trim())),
            Some(id) => {
                let id = id.trim();
                if id.len() >= 17 && id.ends_with("0000") && id.bytes().all(|byte| byte.is_ascii_digit()) {
                    notes.guess("long ids that end in 0000: a spreadsheet may have rounded them", id);
                }
                Ok((platform, Some(id.to_owned())))
            }
            None => Err("the id is neither a text nor a number".into()),
        },
    }
}

fn lost_digits(id: &str) -> String {
    format!("the id {id} was written as a decimal number, which loses digits: write it as a text")
}

fn created_at(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Timestamp, String> {
    let (time, zone) = (fields.take(Field::Time), fields.text(Field::Zone));
    let value = fields.take(Field::CreatedAt);
    let (value, time) = if value.is_some() { (value, time) } else { (time, None) };
    let text = match value {
        None => return Err("there is no created_at".into()),
        Some(Value::Text(text)) => text,
        Some(Value::Int(number)) => return date::epoch(number),
        Some(Value::Float(number)) => return date::epoch_fraction(number),
        Some(_) => return Err("created_at is neither a text nor a number".into()),
    };
    let mut read = date::read(&text)?;
    if let (false, Some(Value::Text(clock))) = (read.has_clock, time) {
        read = date::with_clock(read, &clock)?;
    }
    if !read.has_clock {
        notes.guess("dates without a time: midnight UTC was taken", &text);
    } else if !read.has_zone {
        match zone.as_deref().map(|zone| (zone, date::offset(zone))) {
            Some((_, Some(offset))) => read.at -= offset,
            Some((zone, None)) => notes.guess("time zones that are no offset (as +01:00): UTC was taken", zone),
            None => notes.guess("dates without a time zone: UTC was taken", &text),
        }
    }
    Ok(read.at)
}

fn language(fields: &mut Fields<'_>) -> Option<String> {
    match fields.take(Field::Language)? {
        Value::List(languages) => languages.into_iter().find_map(Value::into_text),
        one => one.into_text(),
    }
    .map(Cow::into_owned)
}

fn author(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Author> {
    let mut author = match fields.take(Field::Username) {
        Some(Value::Map(entries)) => {
            let mut inner = Fields::default();
            for (name, value) in entries {
                if matches!(name.as_ref(), "id" | "id_str" | "did") {
                    inner.put(Field::AuthorId, 9, value);
                } else if let Some((field, rank)) = known(&name) {
                    inner.put(field, rank, value);
                }
            }
            Author {
                id: inner.id(Field::AuthorId, notes),
                username: inner.text(Field::Username),
                location: inner.text(Field::Location),
                followers: inner.take(Field::Followers).and_then(|count| count.as_count()),
            }
        }
        Some(name) => Author { username: name.into_text().map(Cow::into_owned), ..Author::default() },
        None => Author::default(),
    };
    author.username =
        author.username.map(|name| name.trim().trim_start_matches('@').to_owned()).filter(|n| !n.is_empty());
    author.id = fields.id(Field::AuthorId, notes).or(author.id);
    author.location = fields.text(Field::Location).or(author.location);
    author.followers = fields.take(Field::Followers).and_then(|count| count.as_count()).or(author.followers);
    (author != Author::default()).then_some(author)
}

/// A point; what lies off the globe, or says "null island" by zeros, is no point.
fn coordinates(fields: &mut Fields<'_>) -> Option<Coordinates> {
    let (lat, lon) = (fields.take(Field::Lat), fields.take(Field::Lon));
    let pair = fields.take(Field::LatLon).and_then(|value| point(&value));
    let turned = fields.take(Field::LonLat).and_then(|value| point(&value)).map(|(lon, lat)| (lat, lon));
    let pair = pair.or(turned);
    let (lat, lon) = pair.or_else(|| Some((lat?.as_number()?, lon?.as_number()?)))?;
    Coordinates::checked(lat, lon).filter(|point| point.lat != 0.0 || point.lon != 0.0)
}

fn point(value: &Value<'_>) -> Option<(f64, f64)> {
    match value {
        Value::List(pair) if pair.len() == 2 => Some((pair[0].as_number()?, pair[1].as_number()?)),
        Value::Text(text) => {
            let (lat, lon) = text.trim_matches(['[', ']', '(', ')']).split_once([',', ' '])?;
            Some((lat.trim().parse().ok()?, lon.trim().parse().ok()?))
        }
        Value::Map(_) => match value.get("coordinates") {
            // GeoJSON puts the longitude first.
            Some(Value::List(pair)) if pair.len() == 2 => Some((pair[1].as_number()?, pair[0].as_number()?)),
            Some(inner) => point(inner),
            None => {
                let either = |names: [&str; 3]| names.iter().find_map(|name| value.get(name)?.as_number());
                Some((either(["lat", "latitude", "y"])?, either(["lon", "longitude", "lng"])?))
            }
        },
        _ => None,
    }
}

fn place_name(value: Value<'_>) -> Option<String> {
    match &value {
        Value::Map(_) => {
            let name = ["full_name", "fullName", "name"].iter().find_map(|key| value.get(key)).cloned();
            name.and_then(Value::into_text).map(Cow::into_owned)
        }
        _ => value.into_text().map(Cow::into_owned),
    }
}

fn replaces(value: Option<Value<'_>>) -> Result<Vec<String>, String> {
    match value {
        Some(Value::List(ids)) if ids.len() > VERSIONS_MAX => {
            Err(format!("the post replaces more than {VERSIONS_MAX} earlier versions"))
        }
        Some(Value::List(ids)) => Ok(ids.into_iter().filter_map(Value::into_text).map(Cow::into_owned).collect()),
        Some(one) => Ok(one.into_text().map(Cow::into_owned).into_iter().collect()),
        None => Ok(Vec::new()),
    }
}

/// An id for a post without one: the same post gets the same id each time it is read.
fn made_id(text: &str, occurred_at: Timestamp, author: Option<&Author>) -> String {
    let mut hash = Xxh3::new();
    for part in [author.and_then(|author| author.username.as_deref().or(author.id.as_deref())).unwrap_or(""), text] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&occurred_at.timestamp_micros().to_le_bytes());
    format!("made-{:032x}", hash.digest128())
}
