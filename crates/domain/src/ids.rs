//! Ids as types of their own, so that a source's name is never taken for a post's.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// `platform:native_id`, stable for ever: a replay, a reconnect, a back-fill or a second connector that brings the same
/// post brings the same id. At most 512 bytes, no white space or control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PostId(String);

impl PostId {
    /// Longest id accepted, in bytes: far above any platform's, low enough to index.
    pub const LENGTH_MAX_BYTES: usize = 512;

    /// The id of a platform's post.
    pub fn new(platform: &str, native_id: &str) -> Result<Self> {
        Self::parse(format!("{platform}:{native_id}"))
    }

    /// Reads `platform:native_id`.
    pub fn parse(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.len() > Self::LENGTH_MAX_BYTES {
            return Err(Error::reject(format!(
                "post id is {} bytes long; at most {} are accepted",
                id.len(),
                Self::LENGTH_MAX_BYTES
            )));
        }
        if id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::reject("post id holds white space or control characters"));
        }
        match id.split_once(':') {
            Some((platform, native)) if !platform.is_empty() && !native.is_empty() => Ok(Self(id)),
            _ => Err(Error::reject(format!("post id {id:?} is not of the form platform:native_id"))),
        }
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon.
    pub fn platform(&self) -> &str {
        self.0.split_once(':').map_or("", |(platform, _)| platform)
    }

    /// The platform's own id.
    pub fn native_id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, native)| native)
    }
}

impl TryFrom<String> for PostId {
    type Error = Error;
    fn try_from(id: String) -> Result<Self> {
        Self::parse(id)
    }
}

impl From<PostId> for String {
    fn from(id: PostId) -> String {
        id.0
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a configured source (`x`, `file:tweets.jsonl`, `push:reviews`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub String);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A partition of a queue. Its name is the application id of the lake's transactions, and its offsets have no gaps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(Arc<str>);

/// What names of events' partitions begin with; identities of queues don't.
const EVENT: &str = "event/";

impl PartitionId {
    /// The partition of the queue with that identity. The first one has the queue's own name.
    pub fn new(queue: &str, index: u16) -> Self {
        match index {
            0 => queue.into(),
            _ => Self(format!("{queue}/{index}").into()),
        }
    }

    /// The partition of an event that brings posts by itself, such as an object that others wrote. Its transaction is
    /// forgotten after two weeks, when the event can't come again.
    pub fn of_event(kind: &str, id: &str) -> Self {
        Self(format!("{EVENT}{kind}/{id}").into())
    }

    /// Whether it is an event's.
    pub fn is_of_event(name: &str) -> bool {
        name.starts_with(EVENT)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of its queue's partitions it is.
    pub fn index(&self) -> u16 {
        self.0.rsplit_once('/').and_then(|(_, index)| index.parse().ok()).unwrap_or(0)
    }
}

impl From<&str> for PartitionId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_colons_of_the_native_part() {
        let id = PostId::parse("bluesky:at://did:plc:abc/app.bsky.feed.post/1").unwrap();
        assert_eq!((id.platform(), id.native_id()), ("bluesky", "at://did:plc:abc/app.bsky.feed.post/1"));
    }

    #[test]
    fn ids_without_both_parts_or_with_control_characters_are_rejected() {
        for bad in ["", "x", ":1", "x:", "x:1 2", "x:1\n", "x:\u{0}"] {
            assert!(PostId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(PostId::new("x", &"9".repeat(600)).is_err());
    }
}
