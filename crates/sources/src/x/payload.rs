//! Messages of the X API v2: a post with its `includes` (stream), a page of posts (search), a bare post, notices of
//! deletion and withholding, and errors in the stream. Unknown fields and unknown messages are tolerated: X adds both
//! without notice.

use crate::record::simple::Hint;
use crate::record::value::Key;
use crate::record::{Format, Origin, Parsed, Rejection, checks, date};
use domain::{Author, Coordinates, Deletion, Post, PostId, Record, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// Messages of the X API v2.
pub(crate) const FORMAT: Format = Format { name: "x-v2", parse };
/// The name of the platform in post ids.
pub const PLATFORM: &str = "x";
/// Most posts that one post can refer to; X knows three kinds of references, each to one post.
const REFERENCES_MAX: usize = 10;
/// Most earlier versions of one post; X allows five edits.
const VERSIONS_MAX: usize = 100;
/// What the posts of a page may have together once each carries its own author and references: so many times the page's
/// own bytes, and this much more. Without a limit, a page of 3 MB asks for 90 GB.
const PAGE_GROWTH_MAX: usize = 8;
const PAGE_GROWTH_BYTES: usize = 1 << 20;
/// What stands before a topic's name in the tags of our rules, so that we never touch a rule of somebody else's.
pub const TAG_PREFIX: &str = "overheard:";

/// What a message of X said.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Posts, and posts that are gone; with what could not be read.
    Records(Parsed),
    /// Something is wrong with the stream, in X's words.
    Error(StreamError),
    /// A notice that changes nothing here (a post withheld in some countries, an undrop), or a kind that came up later
    /// than this program: the names of its keys.
    Notice(String),
    /// Not a message at all.
    Malformed(Rejection),
}

/// An error that X sends in the stream or in place of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamError {
    pub title: String,
    pub detail: String,
    /// `UpstreamOperationalDisconnect`, `TooManyConnections`, ...; empty when X gives none.
    pub kind: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    includes: Option<Includes<'a>>,
    #[serde(borrow, default)]
    matching_rules: Option<Vec<MatchingRule<'a>>>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    connection_issue: Option<String>,
    #[serde(default)]
    meta: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
struct Includes<'a> {
    #[serde(borrow, default)]
    users: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    places: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    tweets: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct MatchingRule<'a> {
    #[serde(borrow, default)]
    tag: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Tweet<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    note_tweet: Option<NoteTweet<'a>>,
    #[serde(borrow, default)]
    author_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    created_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    lang: Option<Cow<'a, str>>,
    #[serde(default)]
    edit_history_tweet_ids: Vec<String>,
    #[serde(borrow, default)]
    geo: Option<Geo<'a>>,
    #[serde(default)]
    public_metrics: Option<PostMetrics>,
    #[serde(borrow, default)]
    referenced_tweets: Option<Vec<Reference<'a>>>,
    /// Flattened posts carry the author.
    #[serde(borrow, default)]
    author: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct NoteTweet<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Geo<'a> {
    #[serde(borrow, default)]
    place_id: Option<Cow<'a, str>>,
    /// Flattened posts carry the place itself.
    #[serde(borrow, default)]
    full_name: Option<Cow<'a, str>>,
    #[serde(default)]
    coordinates: Option<Point>,
}

#[derive(Deserialize)]
struct Point {
    /// Longitude first.
    #[serde(default)]
    coordinates: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct PostMetrics {
    #[serde(default)]
    impression_count: Option<u64>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Flattened posts carry the post itself.
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    note_tweet: Option<NoteTweet<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    username: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    location: Option<Cow<'a, str>>,
    #[serde(default)]
    public_metrics: Option<UserMetrics>,
}

#[derive(Deserialize)]
struct UserMetrics {
    #[serde(default)]
    followers_count: Option<u64>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    full_name: Option<Cow<'a, str>>,
}

/// `delete`, `withheld`, ... of a notice; also in the form that the old API used.
#[derive(Deserialize)]
struct Notice<'a> {
    #[serde(borrow, default, alias = "status")]
    tweet: Option<NoticeSubject<'a>>,
    #[serde(default)]
    withheld_in_countries: Vec<String>,
}

#[derive(Deserialize)]
struct NoticeSubject<'a> {
    #[serde(borrow, default)]
    id_str: Option<Cow<'a, str>>,
    #[serde(default)]
    id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorItem {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    disconnect_type: Option<String>,
    #[serde(default)]
    connection_issue: Option<String>,
}

/// What a key of a JSON object tells: whether it is a message of X, or one of its posts.
pub(crate) fn hint(key: &str) -> Option<Hint> {
    match key {
        "data" | "includes" | "matching_rules" | "errors" | "delete" | "drop" | "undrop" | "tweet_edit" => {
            Some(Hint::Message)
        }
        "edit_history_tweet_ids" | "public_metrics" | "referenced_tweets" | "note_tweet" | "withheld" => {
            Some(Hint::Post)
        }
        _ => None,
    }
}

/// Reads one message as a record: what is no post is rejected.
pub(crate) fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    let reason = match parse_message(text, origin) {
        Message::Records(more) if more.records.len() + more.rejections.len() > 0 => {
            parsed.records.extend(more.records);
            return parsed.rejections.extend(more.rejections);
        }
        Message::Malformed(rejection) => return parsed.rejections.push(rejection),
        Message::Error(error) => format!("an error message of X, not a post: {}", error.title),
        Message::Records(_) | Message::Notice(_) => "a message of X that holds no post".into(),
    };
    parsed.rejections.push(Rejection::new(reason, text.as_bytes()));
}

/// Reads one message.
pub fn parse_message(text: &str, origin: &Origin) -> Message {
    let text = text.trim_start_matches('\u{feff}').trim();
    let envelope: Envelope = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => return Message::Malformed(Rejection::new(format!("malformed JSON: {error}"), text.as_bytes())),
    };
    match envelope.data.map(|data| (data, data.get().as_bytes().first())) {
        Some((page, Some(b'['))) => match serde_json::from_str::<Vec<&RawValue>>(page.get()) {
            Ok(posts) => page_of(&posts, &envelope, text.len() * PAGE_GROWTH_MAX + PAGE_GROWTH_BYTES, origin),
            Err(error) => Message::Malformed(Rejection::new(error.to_string(), text.as_bytes())),
        },
        Some((data, Some(b'{'))) => one(data.get(), text, &envelope, origin),
        _ if envelope.errors.is_some() || envelope.title.is_some() => Message::Error(error_of(&envelope)),
        // A page without a hit has no data.
        _ if envelope.meta.is_some() => Message::Records(Parsed::default()),
        _ => one(text, text, &envelope, origin),
    }
}

/// `budget`: bytes that the posts may have together.
fn page_of(posts: &[&RawValue], envelope: &Envelope<'_>, mut budget: usize, origin: &Origin) -> Message {
    let included = Included::new(envelope.includes.as_ref());
    let mut parsed = Parsed::default();
    for raw in posts {
        let read = serde_json::from_str::<Tweet>(raw.get()).map_err(|error| format!("not a post of X: {error}"));
        let post = read.and_then(|tweet| {
            let payload = included.envelope(raw.get(), &tweet, &mut budget)?;
            build(&tweet, payload, &included, Vec::new(), origin)
        });
        match post {
            Ok(post) => parsed.records.push(Record::Post(Box::new(post))),
            Err(reason) => parsed.rejections.push(Rejection::new(reason, raw.get().as_bytes())),
        }
    }
    Message::Records(parsed)
}

/// A post or a notice; `whole` is the message that it came in.
fn one(data: &str, whole: &str, envelope: &Envelope<'_>, origin: &Origin) -> Message {
    let tweet: Tweet = match serde_json::from_str(data) {
        Ok(tweet) => tweet,
        Err(error) => return notice(data, whole, origin, &error),
    };
    let tags = envelope.matching_rules.iter().flatten().filter_map(|rule| rule.tag.as_deref());
    let mut topics: Vec<String> = tags.map(|tag| tag.strip_prefix(TAG_PREFIX).unwrap_or(tag).to_owned()).collect();
    topics.sort_unstable();
    topics.dedup();
    let included = Included::new(envelope.includes.as_ref());
    let mut parsed = Parsed::default();
    match build(&tweet, whole.to_owned(), &included, topics, origin) {
        Ok(post) => parsed.records.push(Record::Post(Box::new(post))),
        Err(reason) => parsed.rejections.push(Rejection::new(reason, whole.as_bytes())),
    }
    Message::Records(parsed)
}

/// A message without a post's id: a notice, or nothing that we know.
fn notice(data: &str, whole: &str, origin: &Origin, error: &serde_json::Error) -> Message {
    let Ok(entries) = serde_json::from_str::<HashMap<Key<'_>, &RawValue>>(data) else {
        return Message::Malformed(Rejection::new(format!("not a message of X: {error}"), whole.as_bytes()));
    };
    if entries.contains_key(&Key("text".into())) {
        return Message::Malformed(Rejection::new(format!("not a post of X: {error}"), whole.as_bytes()));
    }
    for (Key(kind), body) in &entries {
        let Ok(notice) = serde_json::from_str::<Notice>(body.get()) else { continue };
        // XX and XY stand for all countries; withheld in one country, a post is still public in the others.
        let everywhere = notice.withheld_in_countries.iter().any(|code| code == "XX" || code == "XY");
        let gone = matches!(kind.as_ref(), "delete" | "drop") || (kind == "withheld" && everywhere);
        let id = notice.tweet.and_then(|subject| match (subject.id_str, subject.id) {
            (Some(id), _) => Some(id.into_owned()),
            (None, Some(serde_json::Value::String(id))) => Some(id),
            (None, Some(serde_json::Value::Number(id))) => Some(id.to_string()),
            _ => None,
        });
        if let (true, Some(id)) = (gone, id.and_then(|id| PostId::new(PLATFORM, &id).ok())) {
            let deletion = Deletion { id, source: origin.source.clone(), received_at: origin.received_at };
            return Message::Records(Parsed { records: vec![Record::Deletion(deletion)], ..Parsed::default() });
        }
    }
    let mut keys: Vec<&str> = entries.keys().map(|Key(key)| key.as_ref()).collect();
    keys.sort_unstable();
    Message::Notice(keys.join(" "))
}

fn error_of(envelope: &Envelope<'_>) -> StreamError {
    let items: Vec<ErrorItem> =
        envelope.errors.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let item = items.into_iter().next();
    let (title, detail, kind) = item
        .map_or((None, None, None), |item| (item.title, item.detail, item.disconnect_type.or(item.connection_issue)));
    StreamError {
        title: title.or_else(|| envelope.title.clone()).unwrap_or_else(|| "error without a title".into()),
        detail: detail.or_else(|| envelope.detail.clone()).unwrap_or_default(),
        kind: kind.or_else(|| envelope.connection_issue.clone()).unwrap_or_default(),
    }
}

/// What a message brings beside its posts, by id, with its own JSON.
#[derive(Default)]
struct Included<'a> {
    users: HashMap<String, (User<'a>, &'a str)>,
    places: HashMap<String, (Place<'a>, &'a str)>,
    posts: HashMap<String, (Tweet<'a>, &'a str)>,
}

impl<'a> Included<'a> {
    fn new(includes: Option<&Includes<'a>>) -> Self {
        fn read<'a, T: Deserialize<'a>>(all: &[&'a RawValue], id: fn(&T) -> &str) -> HashMap<String, (T, &'a str)> {
            let one = |raw: &&'a RawValue| serde_json::from_str::<T>(raw.get()).ok().map(|item| (item, raw.get()));
            all.iter().filter_map(one).map(|(item, raw)| (id(&item).to_owned(), (item, raw))).collect()
        }
        includes.map_or_else(Self::default, |includes| Self {
            users: read(&includes.users, |user: &User<'_>| &user.id),
            places: read(&includes.places, |place: &Place<'_>| &place.id),
            posts: read(&includes.tweets, |post: &Tweet<'_>| &post.id),
        })
    }

    fn author(&self, tweet: &Tweet<'_>) -> Option<&User<'a>> {
        self.users.get(tweet.author_id.as_deref()?).map(|(user, _)| user)
    }

    fn place(&self, tweet: &Tweet<'_>) -> Option<&(Place<'a>, &'a str)> {
        self.places.get(tweet.geo.as_ref()?.place_id.as_deref()?)
    }

    /// One post of a page with only what belongs to it, in the form in which the stream brings posts. Nothing is copied
    /// before it is known to fit into the page's budget.
    fn envelope(&self, data: &str, tweet: &Tweet<'_>, budget: &mut usize) -> Result<String, String> {
        let user = tweet.author_id.as_deref().and_then(|id| self.users.get(id)).map(|(_, raw)| *raw);
        let place = self.place(tweet).map(|(_, raw)| *raw);
        let mut ids: Vec<&str> = references(tweet).map(|to| to.id.as_ref()).collect();
        ids.sort_unstable();
        ids.dedup();
        let posts: Vec<&str> = ids.into_iter().filter_map(|id| self.posts.get(id)).map(|(_, raw)| *raw).collect();
        let parts: Vec<&str> = user.into_iter().chain(place).chain(posts.iter().copied()).collect();
        let bytes = data.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        *budget = budget.checked_sub(bytes).ok_or("what the page includes is too much to be repeated for each post")?;
        let parts = [
            ("users", user.unwrap_or("").to_owned()),
            ("places", place.unwrap_or("").to_owned()),
            ("tweets", posts.join(",")),
        ];
        let parts = parts.iter().filter(|(_, raw)| !raw.is_empty()).map(|(name, raw)| format!("\"{name}\":[{raw}]"));
        Ok(format!("{{\"data\":{data},\"includes\":{{{}}}}}", parts.collect::<Vec<_>>().join(",")))
    }
}

fn build(
    tweet: &Tweet<'_>,
    payload: String,
    included: &Included<'_>,
    topics_hint: Vec<String>,
    origin: &Origin,
) -> Result<Post, String> {
    let id = PostId::new(PLATFORM, &tweet.id).map_err(|error| error.to_string())?;
    let text = text_of(tweet, included).ok_or("there is no text")?;
    checks::text(&text)?;
    // X escapes `&`, `<` and `>`.
    let text = domain::markup::decode_entities(&text).into_owned();
    let inside = tweet.author.and_then(|raw| serde_json::from_str::<User>(raw.get()).ok());
    let user = included.author(tweet).or(inside.as_ref());
    let author_id = tweet.author_id.as_deref().or(user.map(|user| user.id.as_ref()));
    let username = user.and_then(|user| user.username.as_deref());
    let followers = user.and_then(|user| user.public_metrics.as_ref()?.followers_count);
    let impressions = tweet.public_metrics.as_ref().and_then(|metrics| metrics.impression_count);
    Ok(Post {
        source: origin.source.clone(),
        platform: PLATFORM.into(),
        text,
        author: author_id.map(|id| Author {
            id: Some(id.to_owned()),
            username: username.map(str::to_owned),
            location: user.and_then(|user| user.location.as_deref()).map(str::to_owned),
            followers,
        }),
        url: domain::platform::post_url(PLATFORM, username, &tweet.id),
        occurred_at: checks::occurred_at(created_at(tweet)?, origin.received_at)?,
        received_at: origin.received_at,
        language_hint: tweet.lang.as_deref().filter(|code| *code != "und").map(str::to_owned),
        coordinates: point(tweet),
        place_name: place_name(tweet, included),
        repost_of: repost_of(tweet)?,
        replaces: replaces(tweet)?,
        // A post just written has no impressions yet: its author's followers are the ones who may see it.
        reach: impressions.filter(|count| *count > 0).or(followers),
        provenance: origin.provenance,
        topics_hint,
        payload,
        payload_format: Some(FORMAT.name.into()),
        id,
    })
}

/// The whole text: long posts carry it apart, and a repost's own is cut short.
fn text_of(tweet: &Tweet<'_>, included: &Included<'_>) -> Option<String> {
    let text = own_text(tweet.note_tweet.as_ref(), tweet.text.as_ref())?;
    let original = references(tweet).find(|to| to.kind == "retweeted").and_then(|to| {
        let included = included.posts.get(to.id.as_ref());
        let included = included.and_then(|(post, _)| own_text(post.note_tweet.as_ref(), post.text.as_ref()));
        included.or_else(|| own_text(to.note_tweet.as_ref(), to.text.as_ref()))
    });
    // An original that is too long is not copied only to be refused.
    match (original.filter(|original| original.len() <= checks::TEXT_MAX_BYTES), text.split_once(": ")) {
        (Some(original), Some((head, _))) if head.starts_with("RT @") => Some(format!("{head}: {original}")),
        _ => Some(text.to_owned()),
    }
}

fn own_text<'t>(long: Option<&'t NoteTweet<'_>>, text: Option<&'t Cow<'_, str>>) -> Option<&'t str> {
    long.and_then(|note| note.text.as_deref()).or(text.map(AsRef::as_ref))
}

fn created_at(tweet: &Tweet<'_>) -> Result<Timestamp, String> {
    match tweet.created_at.as_deref() {
        Some(text) => date::parse(text),
        None => date::of_snowflake(&tweet.id).ok_or_else(|| "there is no created_at".into()),
    }
}

fn place_name(tweet: &Tweet<'_>, included: &Included<'_>) -> Option<String> {
    let place = included.place(tweet).and_then(|(place, _)| place.full_name.as_deref());
    place.or_else(|| tweet.geo.as_ref()?.full_name.as_deref()).map(str::to_owned)
}

fn point(tweet: &Tweet<'_>) -> Option<Coordinates> {
    match tweet.geo.as_ref()?.coordinates.as_ref()?.coordinates.as_deref()? {
        [lon, lat] => Coordinates::checked(*lat, *lon),
        _ => None,
    }
}

fn references<'t, 'a>(tweet: &'t Tweet<'a>) -> impl Iterator<Item = &'t Reference<'a>> {
    tweet.referenced_tweets.iter().flatten().take(REFERENCES_MAX)
}

fn repost_of(tweet: &Tweet<'_>) -> Result<Option<PostId>, String> {
    let id = references(tweet).find(|to| to.kind == "retweeted").map(|to| PostId::new(PLATFORM, &to.id));
    id.transpose().map_err(|error| error.to_string())
}

/// The earlier versions: in the history, oldest first, all before the post itself.
fn replaces(tweet: &Tweet<'_>) -> Result<Vec<PostId>, String> {
    if tweet.edit_history_tweet_ids.len() > VERSIONS_MAX {
        return Err(format!("the post has more than {VERSIONS_MAX} versions"));
    }
    let earlier = tweet.edit_history_tweet_ids.iter().take_while(|id| **id != *tweet.id);
    earlier.map(|id| PostId::new(PLATFORM, id).map_err(|error| error.to_string())).collect()
}
