//! An event of Jetstream as the post that it makes. The payload is the event as it came, with what was looked up about
//! its author beside it.

use crate::record::{Format, Origin, Parsed, checks};
use chrono::DateTime;
use domain::{Author, Post, PostId, Record, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Events of Jetstream, version 1.
pub(crate) const FORMAT: Format = Format { name: "jetstream-1", parse };
/// The name of the platform in post ids.
pub(super) const PLATFORM: &str = "bluesky";
/// The collection of posts.
pub(super) const POSTS: &str = "app.bsky.feed.post";

/// What is kept of a post.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) event: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<Profile>,
    /// The id of the version that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
}

/// What is known of an author beside the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) handle: String,
    #[serde(default, rename = "followersCount", skip_serializing_if = "Option::is_none")]
    pub(super) followers: Option<u64>,
}

/// An event.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) did: String,
    /// Microseconds of Unix time: the cursor.
    pub(super) time_us: i64,
    #[serde(default)]
    pub(super) commit: Option<Commit>,
}

/// A change of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    pub(super) operation: Operation,
    pub(super) collection: String,
    pub(super) rkey: String,
    /// Names the version.
    #[serde(default)]
    pub(super) cid: Option<String>,
    #[serde(default)]
    pub(super) record: Option<PostRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
    #[serde(other)]
    Other,
}

/// The record of a post.
#[derive(Debug, Deserialize)]
pub(super) struct PostRecord {
    #[serde(default)]
    pub(super) text: String,
    #[serde(default, rename = "createdAt")]
    created_at: Option<String>,
    #[serde(default)]
    langs: Vec<String>,
}

impl Event {
    /// The commit, if it is about a post.
    pub(super) fn commit_of_post(&self) -> Option<&Commit> {
        self.commit.as_ref().filter(|commit| commit.collection == POSTS)
    }

    /// The id of the post, whatever its version.
    pub(super) fn post_id(&self) -> Result<PostId, String> {
        let commit = self.commit_of_post().ok_or("the event is not about a post")?;
        let native = format!("at://{}/{POSTS}/{}", self.did, commit.rkey);
        PostId::new(PLATFORM, &native).map_err(|error| error.to_string())
    }

    /// The id of this version: an edit has one of its own.
    pub(super) fn version_id(&self, commit: &Commit) -> Result<PostId, String> {
        let id = self.post_id()?;
        match (commit.operation, &commit.cid) {
            (Operation::Update, Some(cid)) => PostId::parse(format!("{id}#{cid}")).map_err(|error| error.to_string()),
            _ => Ok(id),
        }
    }

    fn at(&self) -> Result<Timestamp, String> {
        DateTime::from_timestamp_micros(self.time_us).ok_or_else(|| format!("time_us {} is no time", self.time_us))
    }
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    parsed.keep(record(text, origin), text.as_bytes());
}

fn record(text: &str, origin: &Origin) -> Result<Record, String> {
    let not_ours = |error: serde_json::Error| format!("not an event of Jetstream: {error}");
    let Payload { event, author, replaces } = serde_json::from_str(text).map_err(not_ours)?;
    let event: Event = serde_json::from_str(event.get()).map_err(not_ours)?;
    let replaces = replaces.map(PostId::parse).transpose().map_err(|error| error.to_string())?;
    post(&event, text.to_owned(), author, replaces, origin).map(|post| Record::Post(Box::new(post)))
}

/// The post of an event.
pub(super) fn post(
    event: &Event,
    payload: String,
    author: Option<Profile>,
    replaces: Option<PostId>,
    origin: &Origin,
) -> Result<Post, String> {
    let commit = event.commit_of_post().ok_or("the event is not about a post")?;
    let post = commit.record.as_ref().ok_or("the event holds no post")?;
    checks::text(&post.text)?;
    let created_at = post.created_at.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let followers = author.as_ref().and_then(|author| author.followers);
    let username = author.map(|author| author.handle);
    Ok(Post {
        id: event.version_id(commit)?,
        source: origin.source.clone(),
        platform: PLATFORM.into(),
        text: post.text.clone(),
        author: Some(Author { id: Some(event.did.clone()), username, location: None, followers }),
        url: Some(format!("https://bsky.app/profile/{}/post/{}", event.did, commit.rkey)),
        // The author's program sets the date; the network's own time bounds it.
        occurred_at: checks::bounded(created_at.map(|at| at.to_utc()), event.at()?),
        received_at: origin.received_at,
        language_hint: post.langs.first().cloned(),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: replaces.into_iter().collect(),
        reach: followers,
        provenance: origin.provenance,
        topics_hint: Vec::new(),
        payload,
        payload_format: Some(FORMAT.name.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Provenance, SourceId};

    const CREATE: &str = r#"{"did":"did:plc:abc","time_us":1793534400000000,"kind":"commit","commit":{"rev":"r",
        "operation":"create","collection":"app.bsky.feed.post","rkey":"3l","cid":"bafy1","record":{
        "$type":"app.bsky.feed.post","text":"Late again \u00e9","createdAt":"2026-11-01T11:59:58.123Z","langs":["en","de"]}}}"#;

    fn origin() -> Origin {
        Origin {
            source: SourceId("bluesky".into()),
            platform: PLATFORM.into(),
            provenance: Provenance::Stream,
            received_at: DateTime::from_timestamp(1_793_534_401, 0).unwrap(),
        }
    }

    fn read(event: &str, more: &str) -> Result<Record, String> {
        record(&format!("{{\"event\":{event}{more}}}"), &origin())
    }

    #[test]
    fn an_event_becomes_a_post() {
        let author = r#","author":{"handle":"abc.example","followersCount":7}"#;
        let Ok(Record::Post(post)) = read(CREATE, author) else { panic!("a post") };
        assert_eq!(post.id.as_str(), "bluesky:at://did:plc:abc/app.bsky.feed.post/3l");
        assert_eq!((post.text.as_str(), post.language_hint.as_deref()), ("Late again é", Some("en")));
        assert_eq!(post.url.as_deref(), Some("https://bsky.app/profile/did:plc:abc/post/3l"));
        assert_eq!(post.occurred_at.timestamp_millis(), 1_793_534_398_123);
        let author = post.author.unwrap();
        assert_eq!((author.username.as_deref(), author.followers), (Some("abc.example"), Some(7)));
    }

    #[test]
    fn dates_of_the_author_are_bounded_by_the_network() {
        let at = |created_at: &str| {
            let event = CREATE.replace("2026-11-01T11:59:58.123Z", created_at);
            let Ok(Record::Post(post)) = read(&event, "") else { panic!("a post") };
            post.occurred_at.to_rfc3339()
        };
        assert_eq!(at("2031-01-01T00:00:00Z"), "2026-11-01T12:00:00+00:00");
        assert_eq!(at("0001-01-01T00:00:00Z"), "2026-11-01T12:00:00+00:00");
        assert_eq!(at("yesterday"), "2026-11-01T12:00:00+00:00");
        assert_eq!(at("2026-10-31T12:00:00+02:00"), "2026-10-31T10:00:00+00:00");
    }

    #[test]
    fn an_edit_is_a_version_and_other_events_are_no_posts() {
        let event = CREATE.replace("\"create\"", "\"update\"");
        let Ok(Record::Post(post)) = read(&event, r#","replaces":"bluesky:at://did:plc:abc/app.bsky.feed.post/3l""#)
        else {
            panic!("a post")
        };
        assert_eq!(post.id.native_id(), "at://did:plc:abc/app.bsky.feed.post/3l#bafy1");
        assert_eq!(post.replaces[0].native_id(), "at://did:plc:abc/app.bsky.feed.post/3l");
        for event in [
            CREATE.replace("app.bsky.feed.post\",\"rkey", "app.bsky.feed.like\",\"rkey"),
            CREATE.replace("Late again \\u00e9", " "),
            r#"{"did":"did:plc:abc","time_us":1,"kind":"account","account":{"active":false}}"#.into(),
        ] {
            assert!(read(&event, "").is_err(), "{event}");
        }
    }
}
