//! A timeline of an instance: what is kept of it, and the polls that leave no gap.

use super::api::{Api, PAGE};
use super::payload::{self, PLATFORM, Payload, Status};
use super::selection::Selection;
use crate::connector::Context;
use crate::kit::ingest;
use crate::kit::poll::{Poll, Problem};
use crate::record::{Parsed, Rejection};
use async_trait::async_trait;
use domain::topic::TopicMatcher;
use domain::{PostId, Provenance, Record};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use state::Cursor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Pages of one poll; the next goes on.
const PAGES_MAX: usize = 50;
/// Posts of other instances can come late, and stand in the timeline where they were written: each poll looks back so far.
const LATE_MS: u64 = 15 * 60 * 1_000;
/// The public timeline of a large instance has too many posts for it: there a poll looks back less far, but at least this.
const LATE_LEAST_MS: u64 = 15 * 1_000;
/// Pages that a poll of the public timeline should take, looking back included.
const LATE_PAGES: usize = 10;
/// Mastodon's ids are numbers that hold the time in milliseconds above so many bits.
const ID_TIME_BITS: u32 = 16;
/// Posts whose versions are remembered; beyond, all are forgotten.
const VERSIONS_MAX: usize = 50_000;

/// The posts that were read lately, by the instance's own id: a deletion tells no other, and an edit replaces the version
/// before it.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<HashMap<String, Version>>);

#[derive(Debug, Clone)]
struct Version {
    first: PostId,
    last: PostId,
    edited_at: Option<String>,
}

impl Versions {
    /// Takes a version down; gives the one before it, if it is another. A page that was asked for before an edit may be
    /// read after it: an older version replaces none.
    fn note(&self, status: &Status) -> Result<Option<PostId>, String> {
        let edited_at = status.edited_at.clone();
        let now = Version { first: status.first_id()?, last: status.version_id()?, edited_at };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= VERSIONS_MAX {
            known.clear();
        }
        if known.get(&status.id).is_some_and(|known| known.edited_at > now.edited_at) {
            return Ok(None);
        }
        let before = known.insert(status.id.clone(), now.clone());
        Ok(before.map(|before| before.last).filter(|before| *before != now.last))
    }

    fn of(&self, id: &str) -> Option<Version> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}

/// A timeline.
#[derive(Clone)]
pub(super) struct Timeline {
    selection: Selection,
    api: Api,
    context: Context,
    versions: Arc<Versions>,
}

impl Timeline {
    pub(super) fn new(selection: Selection, api: Api, context: Context, versions: Arc<Versions>) -> Self {
        Self { selection, api, context, versions }
    }

    pub(super) fn name(&self) -> String {
        self.selection.name()
    }

    pub(super) async fn open_stream(&self) -> Result<reqwest::Response, crate::kit::failure::Failure> {
        self.api.stream(&self.selection, self.context.clock.now()).await
    }

    /// Stores statuses, the oldest first.
    pub(super) async fn store(&self, statuses: &[&RawValue], provenance: Provenance) -> domain::Result<()> {
        let origin = self.context.origin(PLATFORM, provenance);
        let (mut parsed, mut gone) = (Parsed::default(), Vec::new());
        for raw in statuses.iter().copied() {
            let read = serde_json::from_str::<Status>(raw.get()).map_err(|error| format!("not a status: {error}"));
            match read.and_then(|status| Ok((self.versions.note(&status)?, status))) {
                // Posts of pictures alone; an edit may have taken the words away.
                Ok((replaces, status)) if !status.has_text() => {
                    gone.extend(status.earlier(replaces).unwrap_or_default())
                }
                Ok((replaces, _)) => {
                    let replaces = replaces.map(String::from);
                    let payload = Payload { host: self.api.host().to_owned(), status: raw, replaces };
                    let json = serde_json::to_string(&payload).unwrap_or_default();
                    (payload::FORMAT.parse)(&json, &origin, &mut parsed);
                }
                Err(reason) => parsed.rejections.push(Rejection::new(reason, raw.get().as_bytes())),
            }
        }
        if self.selection == Selection::Public {
            gone.extend(self.drop_unwanted(&mut parsed));
        }
        ingest::store(&self.context, payload::FORMAT, parsed, &origin).await?;
        ingest::delete(&self.context, gone, &origin).await
    }

    /// Drops what no topic wants. Gives the earlier versions of what was dropped: their text is no longer what the author
    /// says.
    fn drop_unwanted(&self, parsed: &mut Parsed) -> Vec<PostId> {
        let topics = self.context.topics.borrow().clone();
        let Ok((matcher, _)) = TopicMatcher::of_readable(topics) else { return Vec::new() };
        let is_unwanted = |record: &mut Record| match record {
            Record::Post(post) => matcher.matches(post, None).is_empty(),
            Record::Deletion(_) => false,
        };
        let unwanted = parsed.records.extract_if(.., is_unwanted);
        let earlier = unwanted.map(|record| match record {
            Record::Post(post) => post.replaces,
            Record::Deletion(_) => Vec::new(),
        });
        earlier.flatten().collect()
    }

    /// Follows the deletion of a post that was read lately.
    pub(super) async fn delete(&self, id: &str) -> domain::Result<()> {
        let Some(Version { first, last, .. }) = self.versions.of(id) else { return Ok(()) };
        let origin = self.context.origin(PLATFORM, Provenance::Stream);
        let mut ids = vec![first, last];
        ids.dedup();
        ingest::delete(&self.context, ids, &origin).await
    }
}

/// What is remembered of a timeline.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Position {
    /// The instance's id of the newest post that is in the queue.
    newest: Option<String>,
}

/// A timeline that is polled.
pub(super) struct Polled {
    timeline: Timeline,
    cursor: Cursor<Position>,
    interval: Duration,
    /// How far a poll looks back; none: late posts come by the stream.
    late_ms: Option<u64>,
    /// The last poll did not come to the end: the next goes on where it stopped, without looking back.
    is_behind: bool,
    /// What was read since where the last poll began, by id, with the time of its edit: looking back brings it again.
    seen: HashMap<String, Option<String>>,
}

impl Polled {
    /// `is_streamed`: the timeline is streamed as well.
    pub(super) fn new(timeline: Timeline, cursor: Cursor<Position>, interval: Duration, is_streamed: bool) -> Self {
        let late_ms = (timeline.selection != Selection::Public || !is_streamed).then_some(LATE_MS);
        Self { timeline, cursor, interval, late_ms, is_behind: false, seen: HashMap::new() }
    }

    /// From where a poll reads when `newest` was read.
    fn look_back(&self, newest: &str) -> String {
        match (newest.parse::<u64>(), self.late_ms) {
            (Ok(number), Some(late_ms)) => number.saturating_sub(late_ms << ID_TIME_BITS).to_string(),
            _ => newest.to_owned(),
        }
    }

    /// Adapts to the number of posts how far the next poll of the public timeline looks back.
    fn adapt(&mut self, pages: usize) {
        if self.timeline.selection != Selection::Public {
            return;
        }
        self.late_ms = self.late_ms.map(|late_ms| late_after(late_ms, pages));
    }

    fn is_seen(&self, status: &RawValue) -> bool {
        head(status).is_some_and(|head| self.seen.get(&head.id) == Some(&head.edited_at))
    }
}

/// How far to look back after a poll that took so many pages.
fn late_after(late_ms: u64, pages: usize) -> u64 {
    match pages {
        _ if pages > LATE_PAGES => (late_ms / 2).max(LATE_LEAST_MS),
        _ if pages < LATE_PAGES / 2 => (late_ms * 2).min(LATE_MS),
        _ => late_ms,
    }
}

fn head(status: &RawValue) -> Option<Head> {
    serde_json::from_str(status.get()).ok()
}

/// Whether an id is of a later post. Ids that are no numbers are not looked back from, so their pages only go forward.
fn is_later(id: &str, than: &str) -> bool {
    match (id.parse::<u64>(), than.parse::<u64>()) {
        (Ok(id), Ok(than)) => id > than,
        _ => id != than,
    }
}

#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    edited_at: Option<String>,
}

#[async_trait]
impl Poll for Polled {
    fn name(&self) -> String {
        self.timeline.name()
    }

    async fn poll(&mut self) -> Result<Duration, Problem> {
        let newest = self.cursor.value.newest.clone();
        let looked_back = newest.as_deref().filter(|_| !self.is_behind).map(|newest| self.look_back(newest));
        let begin = looked_back.or(newest);
        let mut from = begin.clone();
        let mut pages = 0;
        while pages < PAGES_MAX {
            pages += 1;
            let timeline = &self.timeline;
            let now = timeline.context.clock.now();
            let page = timeline.api.page(&timeline.selection, from.as_deref(), now).await?;
            let statuses = page.iter().rev().map(|status| &**status);
            let statuses: Vec<&RawValue> = statuses.filter(|status| !self.is_seen(status)).collect();
            timeline.store(&statuses, Provenance::Poll).await?;
            self.seen.extend(page.iter().filter_map(|status| head(status)).map(|head| (head.id, head.edited_at)));
            // Without a beginning the newest page is all there is to read.
            self.is_behind = page.len() >= PAGE && from.is_some();
            if let Some(Head { id, .. }) = page.first().and_then(|status| head(status)) {
                let reached = &mut self.cursor.value.newest;
                if reached.as_deref().is_none_or(|reached| is_later(&id, reached)) {
                    *reached = Some(id.clone());
                }
                from = Some(id);
            }
            self.cursor.save().await?;
            if !self.is_behind {
                break;
            }
        }
        self.adapt(pages);
        self.seen.retain(|id, _| begin.as_deref().is_none_or(|begin| is_later(id, begin)));
        Ok(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_looks_back_as_far_as_a_few_pages_reach() {
        let busy = (0..9).fold(LATE_MS, |late_ms, _| late_after(late_ms, LATE_PAGES + 1));
        assert_eq!(busy, LATE_LEAST_MS);
        assert_eq!(late_after(busy, LATE_PAGES), busy);
        assert_eq!((0..9).fold(busy, |late_ms, _| late_after(late_ms, 1)), LATE_MS);
    }

    #[test]
    fn an_older_version_that_is_read_late_replaces_none() {
        let status = |edited_at: Option<&str>| -> Status {
            let status = serde_json::json!({
                "id": "1", "uri": "https://a.example/1", "created_at": "2026-11-01T10:00:00.000Z",
                "edited_at": edited_at, "account": {"id": "7", "acct": "bo"},
            });
            serde_json::from_value(status).unwrap()
        };
        let (first, edit) = (status(None), status(Some("2026-11-01T10:30:00.000Z")));
        let versions = Versions::default();
        assert_eq!(versions.note(&first).unwrap(), None);
        assert_eq!(versions.note(&edit).unwrap(), Some(first.first_id().unwrap()));
        assert_eq!(versions.note(&first).unwrap(), None, "a page that was asked for before the edit");
        assert_eq!(versions.of("1").unwrap().last, edit.version_id().unwrap());
    }
}
