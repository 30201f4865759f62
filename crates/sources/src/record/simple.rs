//! Our own simple form of a post, for files and pushes: one flat JSON object.
//!
//! | field | also understood as | what |
//! |---|---|---|
//! | `id` | `id_str`, `tweet_id`, `native_id`, `guid`, `uri`; `post_id` with its platform in front | the platform's own id; without one it is made of author, date and text |
//! | `text` (needed) | `full_text`, `content`, `body`, `message`, `review` | the words, at most 64 kB |
//! | `created_at` (needed) | `timestamp`, `published_at`, `occurred_at`, `date`, `time`, `created` | RFC 3339, X's old form, RFC 2822, `2026-11-23 07:36` (UTC), or seconds, milliseconds or microseconds since 1970 |
//! | `username` | `screen_name`, `author`, `user`, `handle`, `user_name` | handle; or an object `{id, username, location, followers}` |
//! | `author_id` | `user_id` | the platform's id of the author |
//! | `user_location` | `author_location`, `location` | what the author says about where he lives |
//! | `followers` | `followers_count`, `user_followers`, `author_followers` | how many follow the author |
//! | `lat_lon` | `coordinates`, `geo`, or `lat`/`latitude` with `lon`/`lng`/`longitude` | `[lat, lon]`, `"lat,lon"`, `{lat, lon}`, or a GeoJSON point |
//! | `place` | `place_name` | the place attached to the post |
//! | `lang` | `language` | BCP 47, a hint |
//! | `url` | `link`, `permalink` | where people can read it |
//! | `reach` | `impressions`, `views` | how many people it may have reached |
//! | `repost_of` | `retweet_of` | id of the post that it repeats |
//! | `replaces` | | ids of earlier versions |
//! | `platform` | | lower case; else the platform given for the file or source |
//! | `deleted` | | `true`: the post is gone, only its id is needed |
//!
//! Other fields are kept in the payload and otherwise ignored. A field that is null or blank counts as not there; when
//! a post has several names for the same thing, the one named first here counts.

use super::value::{Key, Value};
use super::{Origin, checks, date};
use domain::{Author, Coordinates, Deletion, Post, PostId, Record, Timestamp};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// What a field of the form is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Id,
    PostId,
    Text,
    CreatedAt,
    Username,
    AuthorId,
    Location,
    Followers,
    LatLon,
    Lat,
    Lon,
    Place,
    Language,
    Url,
    Reach,
    RepostOf,
    Replaces,
    Platform,
    Deleted,
}

const FIELDS: usize = Field::Deleted as usize + 1;

/// The field of a name, and how far back the name stands among its aliases.
pub(crate) fn field(name: &str) -> Option<(Field, u8)> {
    use Field::*;
    Some(match name {
        "id" => (Id, 0),
        "id_str" => (Id, 1),
        "tweet_id" => (Id, 2),
        "native_id" => (Id, 3),
        "guid" => (Id, 4),
        "uri" => (Id, 5),
        "post_id" => (PostId, 0),
        "text" => (Text, 1),
        // Where an old export has both, `text` is the one cut short.
        "full_text" => (Text, 0),
        "content" => (Text, 2),
        "body" => (Text, 3),
        "message" => (Text, 4),
        "review" => (Text, 5),
        "created_at" => (CreatedAt, 0),
        "timestamp" => (CreatedAt, 1),
        "published_at" => (CreatedAt, 2),
        "occurred_at" => (CreatedAt, 3),
        "date" => (CreatedAt, 4),
        "time" => (CreatedAt, 5),
        "created" => (CreatedAt, 6),
        "username" => (Username, 0),
        "screen_name" => (Username, 1),
        "author" => (Username, 2),
        "user" => (Username, 3),
        "handle" => (Username, 4),
        "user_name" => (Username, 5),
        "author_id" => (AuthorId, 0),
        "user_id" => (AuthorId, 1),
        "user_location" => (Location, 0),
        "author_location" => (Location, 1),
        "location" => (Location, 2),
        "followers" => (Followers, 0),
        "followers_count" => (Followers, 1),
        "user_followers" => (Followers, 2),
        "author_followers" => (Followers, 3),
        "lat_lon" => (LatLon, 0),
        "coordinates" => (LatLon, 1),
        "geo" => (LatLon, 2),
        "lat" => (Lat, 0),
        "latitude" => (Lat, 1),
        "lon" => (Lon, 0),
        "lng" => (Lon, 1),
        "longitude" => (Lon, 2),
        "place" => (Place, 0),
        "place_name" => (Place, 1),
        "lang" => (Language, 0),
        "language" => (Language, 1),
        "url" => (Url, 0),
        "link" => (Url, 1),
        "permalink" => (Url, 2),
        "reach" => (Reach, 0),
        "impressions" => (Reach, 1),
        "views" => (Reach, 2),
        "repost_of" => (RepostOf, 0),
        "retweet_of" => (RepostOf, 1),
        "replaces" => (Replaces, 0),
        "platform" => (Platform, 0),
        "deleted" => (Deleted, 0),
        _ => return None,
    })
}

/// The fields of one post, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>([Option<(u8, Value<'a>)>; FIELDS]);

impl<'a> Fields<'a> {
    /// Keeps the value unless a better name for the same thing is there.
    pub(crate) fn put(&mut self, field: Field, rank: u8, value: Value<'a>) {
        let blank = match &value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty() && field != Field::Text,
            _ => false,
        };
        let slot = &mut self.0[field as usize];
        if !blank && slot.as_ref().is_none_or(|(kept, _)| rank < *kept) {
            *slot = Some((rank, value));
        }
    }

    fn take(&mut self, field: Field) -> Option<Value<'a>> {
        self.0[field as usize].take().map(|(_, value)| value)
    }

    fn text(&mut self, field: Field) -> Option<String> {
        self.take(field).and_then(Value::into_text).map(Cow::into_owned)
    }
}

/// Which form a JSON object has.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    Simple(Box<Fields<'a>>),
    /// A message of the X API.
    X,
}

/// Reads the fields, or sees that the object is X's.
pub(crate) fn read(text: &str) -> Result<Form<'_>, String> {
    let trimmed = text.trim_start_matches('\u{feff}').trim();
    if !trimmed.starts_with('{') {
        let start: String = trimmed.chars().take(20).collect();
        return Err(format!("not a JSON object: it begins with {start:?}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(trimmed);
    let form = deserializer.deserialize_map(FormVisitor).and_then(|form| deserializer.end().map(|()| form));
    form.map_err(|error| format!("malformed JSON: {error}"))
}

struct FormVisitor;

impl<'de> Visitor<'de> for FormVisitor {
    type Value = Form<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form<'de>, A::Error> {
        let mut fields = Box::<Fields>::default();
        let mut of_x = false;
        while let Some(Key(key)) = map.next_key()? {
            if is_key_of_x(&key) {
                of_x = true;
                map.next_value::<IgnoredAny>()?;
            } else if let Some((field, rank)) = field(&key) {
                fields.put(field, rank, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(if of_x { Form::X } else { Form::Simple(fields) })
    }
}

/// Keys of X's messages, and of its posts out of their envelope, that the simple form has no use for.
fn is_key_of_x(key: &str) -> bool {
    matches!(
        key,
        "data"
            | "includes"
            | "matching_rules"
            | "errors"
            | "edit_history_tweet_ids"
            | "public_metrics"
            | "referenced_tweets"
            | "note_tweet"
            | "delete"
            | "drop"
            | "undrop"
            | "withheld"
            | "tweet_edit"
    )
}

/// A record of the fields. `payload` is what the post can be rebuilt from.
pub(crate) fn build(mut fields: Box<Fields<'_>>, payload: String, origin: &Origin) -> Result<Record, String> {
    let (platform, id) = identity(&mut fields, origin)?;
    if matches!(fields.take(Field::Deleted), Some(Value::Bool(true))) {
        let id = id.ok_or("a deletion needs the id of its post")?;
        let id = PostId::new(&platform, &id).map_err(|error| error.to_string())?;
        return Ok(Record::Deletion(Deletion { id, source: origin.source.clone(), received_at: origin.received_at }));
    }
    let text = match fields.take(Field::Text) {
        Some(Value::Text(text)) => text.into_owned(),
        Some(_) => return Err("the text is not a text".into()),
        None => return Err("there is no text".into()),
    };
    checks::text(&text)?;
    let occurred_at = checks::occurred_at(created_at(fields.take(Field::CreatedAt))?, origin.received_at)?;
    let author = author(&mut fields);
    let native = id.unwrap_or_else(|| made_id(&text, occurred_at, author.as_ref()));
    let post_id = |native: &str| PostId::new(&platform, native).map_err(|error| error.to_string());
    let id = post_id(&native)?;
    let username = author.as_ref().and_then(|author| author.username.as_deref());
    let url = fields.text(Field::Url).or_else(|| url_of(&platform, username, &native));
    let repost_of = fields.text(Field::RepostOf).map(|native| post_id(native.trim())).transpose()?;
    Ok(Record::Post(Box::new(Post {
        id,
        source: origin.source.clone(),
        text,
        url,
        occurred_at,
        received_at: origin.received_at,
        language_hint: fields.text(Field::Language),
        coordinates: coordinates(&mut fields),
        place_name: fields.take(Field::Place).and_then(place_name),
        repost_of,
        replaces: replaces(fields.take(Field::Replaces))
            .iter()
            .map(|native| post_id(native))
            .collect::<Result<_, _>>()?,
        reach: fields.take(Field::Reach).and_then(|reach| reach.as_count()),
        provenance: origin.provenance,
        topics_hint: Vec::new(),
        author,
        platform,
        payload,
    })))
}

/// The platform and, when given, the native id.
fn identity(fields: &mut Fields<'_>, origin: &Origin) -> Result<(String, Option<String>), String> {
    let platform = fields.text(Field::Platform).unwrap_or_else(|| origin.platform.clone());
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
        Some(Value::Float(number)) => {
            Err(format!("the id {number} was written as a decimal number, which loses digits: write it as a text"))
        }
        Some(id) => match id.into_text() {
            Some(id) => Ok((platform, Some(id.trim().to_owned()))),
            None => Err("the id is neither a text nor a number".into()),
        },
    }
}

fn created_at(value: Option<Value<'_>>) -> Result<Timestamp, String> {
    match value {
        None => Err("there is no created_at".into()),
        Some(Value::Text(text)) => date::parse(&text),
        Some(Value::Int(number)) => date::epoch(number),
        // Seconds with a fraction.
        Some(Value::Float(number)) if number.is_finite() && number.abs() < 1e11 => date::epoch((number * 1e6) as i64),
        Some(_) => Err("created_at is neither a text nor a number".into()),
    }
}

fn author(fields: &mut Fields<'_>) -> Option<Author> {
    let mut author = match fields.take(Field::Username) {
        Some(Value::Map(entries)) => {
            let mut inner = Fields::default();
            for (name, value) in entries {
                if name == "id" || name == "id_str" {
                    inner.put(Field::AuthorId, 9, value);
                } else if let Some((field, rank)) = field(&name) {
                    inner.put(field, rank, value);
                }
            }
            Author {
                id: inner.text(Field::AuthorId),
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
    author.id = fields.text(Field::AuthorId).or(author.id);
    author.location = fields.text(Field::Location).or(author.location);
    author.followers = fields.take(Field::Followers).and_then(|count| count.as_count()).or(author.followers);
    (author != Author::default()).then_some(author)
}

/// A point; what lies off the globe, or says "null island" by zeros, is no point.
fn coordinates(fields: &mut Fields<'_>) -> Option<Coordinates> {
    let (lat, lon) = (fields.take(Field::Lat), fields.take(Field::Lon));
    let pair = fields.take(Field::LatLon).and_then(|value| point(&value));
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
            let name = value.get("full_name").or_else(|| value.get("name")).cloned();
            name.and_then(Value::into_text).map(Cow::into_owned)
        }
        _ => value.into_text().map(Cow::into_owned),
    }
}

fn replaces(value: Option<Value<'_>>) -> Vec<String> {
    match value {
        Some(Value::List(ids)) => ids.into_iter().filter_map(Value::into_text).map(Cow::into_owned).collect(),
        Some(one) => one.into_text().map(Cow::into_owned).into_iter().collect(),
        None => Vec::new(),
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

fn url_of(platform: &str, username: Option<&str>, native: &str) -> Option<String> {
    (platform == "x" && native.bytes().all(|byte| byte.is_ascii_digit())).then(|| super::x::url(username, native))
}
