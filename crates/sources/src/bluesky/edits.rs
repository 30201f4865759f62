//! The last version of each post that was edited: an edit replaces the version before it, and a deletion names the post
//! alone.

use super::payload::{Event, Operation};
use domain::PostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Posts whose edits are remembered; beyond, all are forgotten.
const REMEMBERED_MAX: usize = 1_000;

/// Versions by the id of their post.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Edits(BTreeMap<PostId, PostId>);

impl Edits {
    /// Takes an edit down; gives the version that it replaces. `None`: the event is no edit.
    pub(super) fn note(&mut self, event: &Event) -> Option<PostId> {
        let commit = event.commit_of_post().filter(|commit| commit.operation == Operation::Update)?;
        let (post, version) = (event.post_id().ok()?, event.version_id(commit).ok()?);
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        let before = self.0.insert(post.clone(), version.clone());
        Some(before.filter(|before| *before != version).unwrap_or(post))
    }

    /// The last version of a post that was edited.
    pub(super) fn of(&self, post: &PostId) -> Option<PostId> {
        self.0.get(post).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(operation: &str, cid: &str) -> Event {
        let event = serde_json::json!({"did": "did:plc:abc", "time_us": 1, "commit": {
            "operation": operation, "collection": "app.bsky.feed.post", "rkey": "3l", "cid": cid,
        }});
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn each_edit_replaces_the_version_before_it() {
        let mut edits = Edits::default();
        let mut replaced = |operation: &str, cid: &str| edits.note(&event(operation, cid)).map(String::from);
        let post = "bluesky:at://did:plc:abc/app.bsky.feed.post/3l";
        assert_eq!(replaced("create", "a"), None);
        assert_eq!(replaced("update", "b").as_deref(), Some(post));
        assert_eq!(replaced("update", "b").as_deref(), Some(post), "an event that comes again");
        assert_eq!(replaced("update", "c"), Some(format!("{post}#b")));
        let last = edits.of(&PostId::parse(post).unwrap()).map(String::from);
        assert_eq!(last, Some(format!("{post}#c")));
    }

    #[test]
    fn edits_are_read_as_they_were_written() {
        let mut edits = Edits::default();
        edits.note(&event("update", "b"));
        let written = serde_json::to_value(&edits).unwrap();
        assert_eq!(serde_json::from_value::<Edits>(written).unwrap(), edits);
    }
}
