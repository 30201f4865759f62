//! One public message as a connector hands it over: its words untouched, its origin named, the platform's own JSON kept.

use crate::clock::Timestamp;
use crate::ids::{PostId, SourceId};
use crate::place::Coordinates;
use serde::{Deserialize, Serialize};

/// One public message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// `platform:native_id`.
    pub id: PostId,
    /// The configured source that brought it.
    pub source: SourceId,
    /// `x`, `bluesky`, `mastodon`, `news`, ...; lower case.
    pub platform: String,
    /// The words as written.
    pub text: String,
    /// Who wrote it, as far as the platform tells.
    pub author: Option<Author>,
    /// Where people can read it.
    pub url: Option<String>,
    /// When it was written (event time, UTC).
    pub occurred_at: Timestamp,
    /// When we got it.
    pub received_at: Timestamp,
    /// The platform's own claim of the language (BCP 47), a hint and no more.
    pub language_hint: Option<String>,
    /// Coordinates carried by the post itself.
    pub coordinates: Option<Coordinates>,
    /// The name of a place that the author attached to the post.
    pub place_name: Option<String>,
    /// The post of which this is a repost.
    pub repost_of: Option<PostId>,
    /// Earlier versions that this post replaces (an edit has an id of its own on X).
    pub replaces: Vec<PostId>,
    /// How many people it may have reached, as the source states it.
    pub reach: Option<u64>,
    /// How it came: streamed, polled, searched to fill a gap, pushed, read from a file.
    pub provenance: Provenance,
    /// Names of topics that the source already matched (X's rule tags); ours are matched again by us.
    pub topics_hint: Vec<String>,
    /// The original JSON, as received, from which everything else can be rebuilt.
    pub payload: String,
    /// The format of `payload`, such as `x-v2` or `simple`, which names its parser. `None`: the post was read by a version
    /// that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_format: Option<String>,
}

impl Post {
    /// A text of which nothing else is known, as a post of its id's platform: for looking at texts outside the stream.
    pub fn of_text(id: PostId, text: String, at: Timestamp) -> Self {
        Self {
            source: SourceId(id.platform().to_owned()),
            platform: id.platform().to_owned(),
            id,
            text,
            author: None,
            url: None,
            occurred_at: at,
            received_at: at,
            language_hint: None,
            coordinates: None,
            place_name: None,
            repost_of: None,
            replaces: Vec::new(),
            reach: None,
            provenance: Provenance::File,
            topics_hint: Vec::new(),
            payload: String::new(),
            payload_format: None,
        }
    }
}

/// The author of a post.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// The platform's id of the account.
    pub id: Option<String>,
    /// The handle, without `@`.
    pub username: Option<String>,
    /// What the author writes about where he lives.
    pub location: Option<String>,
    /// How many follow the account.
    pub followers: Option<u64>,
}

impl Author {
    /// A name or id as it is compared: without `@`, in lower case.
    pub fn plain_name(name: &str) -> String {
        name.trim().trim_start_matches('@').to_lowercase()
    }

    /// The key of an author on one platform, or on every platform; `name` as [`Self::plain_name`] writes it.
    pub fn key(platform: Option<&str>, name: &str) -> String {
        platform.map_or_else(|| name.to_owned(), |platform| format!("{platform}:{name}"))
    }
}

/// How a post reached us: counts of a stream and of a search differ, so it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    Stream,
    Poll,
    Search,
    Push,
    File,
    Sample,
}

impl Provenance {
    const ALL: [Self; 6] = [Self::Stream, Self::Poll, Self::Search, Self::Push, Self::File, Self::Sample];

    /// The provenance with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provenance| provenance.as_str() == word)
    }

    /// The word stored in the lake.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Poll => "poll",
            Self::Search => "search",
            Self::Push => "push",
            Self::File => "file",
            Self::Sample => "sample",
        }
    }
}

/// A platform's notice that a post is gone, or that an edit replaced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub id: PostId,
    pub source: SourceId,
    pub received_at: Timestamp,
}

/// What a source hands to the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    Post(Box<Post>),
    Deletion(Deletion),
}

impl Record {
    /// The post that the record is about.
    pub fn post_id(&self) -> &PostId {
        match self {
            Self::Post(post) => &post.id,
            Self::Deletion(deletion) => &deletion.id,
        }
    }

    /// The post whose place in the queue this record follows: of an edit, the version that was written first.
    pub fn root_id(&self) -> &PostId {
        match self {
            Self::Post(post) => post.replaces.first().unwrap_or(&post.id),
            Self::Deletion(deletion) => &deletion.id,
        }
    }
}
