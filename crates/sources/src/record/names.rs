//! The names of fields: our own, those that other tools use, and how differently written ones are made alike.

use std::borrow::Cow;

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
    Time,
    Zone,
    LonLat,
}

pub(crate) const FIELDS: usize = Field::LonLat as usize + 1;

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
        "raw_content" => (Text, 2),
        "content" => (Text, 3),
        "body" => (Text, 4),
        "message" => (Text, 5),
        "review" => (Text, 6),
        "tweet" => (Text, 7),
        "created_at" => (CreatedAt, 0),
        "timestamp" => (CreatedAt, 1),
        "published_at" => (CreatedAt, 2),
        "occurred_at" => (CreatedAt, 3),
        "date" => (CreatedAt, 4),
        "created" => (CreatedAt, 6),
        "created_utc" => (CreatedAt, 7),
        "time" => (Time, 0),
        "timezone" => (Zone, 0),
        "time_zone" => (Zone, 1),
        "utc_offset" => (Zone, 2),
        "acct" => (Username, 0),
        "username" => (Username, 1),
        "screen_name" => (Username, 2),
        "author" => (Username, 3),
        "user" => (Username, 4),
        "handle" => (Username, 5),
        "user_name" => (Username, 6),
        "account" => (Username, 7),
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
        "lon_lat" => (LonLat, 0),
        "lat" => (Lat, 0),
        "latitude" => (Lat, 1),
        "lon" => (Lon, 0),
        "lng" => (Lon, 1),
        "longitude" => (Lon, 2),
        "place" => (Place, 0),
        "place_name" => (Place, 1),
        "lang" => (Language, 0),
        "language" => (Language, 1),
        "langs" => (Language, 2),
        "url" => (Url, 0),
        "link" => (Url, 1),
        "permalink" => (Url, 2),
        "reach" => (Reach, 0),
        "impressions" => (Reach, 1),
        "views" => (Reach, 2),
        "view_count" => (Reach, 3),
        "repost_of" => (RepostOf, 0),
        "retweet_of" => (RepostOf, 1),
        "retweeted_tweet" => (RepostOf, 2),
        "replaces" => (Replaces, 0),
        "platform" => (Platform, 0),
        "deleted" => (Deleted, 0),
        _ => return None,
    })
}

/// The field of a name as people and tools write it: `Created At`, `createdAt`, `author.username`.
pub(crate) fn known(name: &str) -> Option<(Field, u8)> {
    if let Some(found) = field(name) {
        return Some(found);
    }
    let name = plain(name);
    field(&name).or_else(|| dotted(&name))
}

/// The name of a field under which a value is kept so that it is read again as what it was.
pub(crate) fn kept_as(name: &str) -> Option<String> {
    let name = plain(name);
    if field(&name).is_some() {
        return Some(name.into_owned());
    }
    let own = match dotted(&name)?.0 {
        Field::AuthorId => "author_id",
        Field::Username => "username",
        Field::Location => "user_location",
        Field::Followers => "followers",
        Field::RepostOf => "repost_of",
        Field::Reach => "reach",
        Field::LonLat => "lon_lat",
        Field::Place => "place",
        _ => return None,
    };
    Some(own.to_owned())
}

/// Small letters with underscores.
fn plain(name: &str) -> Cow<'_, str> {
    if !name.contains(|c: char| c.is_uppercase() || c == ' ' || c == '-') {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len() + 4);
    let mut before = ' ';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            plain.push('_');
        }
        if c == ' ' || c == '-' {
            plain.push('_')
        } else {
            plain.extend(c.to_lowercase())
        }
        before = c;
    }
    Cow::Owned(plain)
}

/// Columns of tables that were made of nested JSON.
fn dotted(name: &str) -> Option<(Field, u8)> {
    let (first, rest) = name.split_once('.')?;
    let found = match (first, rest) {
        ("author" | "user" | "account", "id" | "id_str" | "did") => Field::AuthorId,
        ("author" | "user" | "account", "location") => Field::Location,
        ("author" | "user" | "account", "public_metrics.followers_count") => Field::Followers,
        ("author" | "user" | "account", inner) => {
            let (found, rank) = field(inner)?;
            return matches!(found, Field::Username | Field::Followers).then_some((found, rank + 10));
        }
        ("referenced_tweets", "retweeted.id") => Field::RepostOf,
        ("public_metrics", "impression_count") => Field::Reach,
        ("geo", "coordinates.coordinates") => Field::LonLat,
        ("geo" | "place", "full_name") => Field::Place,
        _ => return None,
    };
    Some((found, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_however_they_are_written() {
        for (name, wanted) in [
            ("Created At", Field::CreatedAt),
            ("createdAt", Field::CreatedAt),
            ("rawContent", Field::Text),
            ("ID", Field::Id),
            ("author.username", Field::Username),
            ("user.screen_name", Field::Username),
            ("account.acct", Field::Username),
            ("author.public_metrics.followers_count", Field::Followers),
            ("referenced_tweets.retweeted.id", Field::RepostOf),
        ] {
            assert_eq!(known(name).map(|(field, _)| field), Some(wanted), "{name}");
            let kept = kept_as(name).unwrap();
            assert_eq!(known(&kept).map(|(field, _)| field), Some(wanted), "{kept}");
        }
        for name in ["author.name", "entities.urls", "mood", "author.description"] {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
