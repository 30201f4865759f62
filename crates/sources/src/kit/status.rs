//! How a source is doing, for people: written by its connector, read by the dashboard while it runs.

use domain::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Connecting,
    Connected,
    /// Waits before the next try.
    Waiting {
        seconds: f64,
    },
    Stopped,
}

impl State {
    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting { .. } => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// The state of a source at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    #[serde(flatten)]
    pub state: State,
    pub connected_since: Option<Timestamp>,
    /// When anything last came, keep-alives included.
    pub heard_at: Option<Timestamp>,
    pub last_post_at: Option<Timestamp>,
    /// Posts within the last 60 seconds, without those that filled a gap.
    pub posts_per_minute: u64,
    /// In words; stays after recovery, with `connected_since` telling that it is over.
    pub last_error: Option<String>,
    /// Times that the connection was opened.
    pub connections: u64,
    /// Posts ever read, repeats included.
    pub posts_read: u64,
    /// Posts ever read for the first time.
    pub posts_billed: u64,
    /// What they cost, where the platform charges for a post.
    pub cost_usd: Option<f64>,
    /// Topics that the platform can't be asked for, with the reason.
    pub topics_left_out: BTreeMap<String, String>,
    /// Where the platform is asked for more than the topics want.
    pub notes: Vec<String>,
    /// Posts of a break are still to be searched for.
    pub filling_gap: bool,
    /// Posts that only a search for the posts of a break brought.
    pub posts_from_gaps: u64,
}

/// Most errors that are shown at once.
const ERRORS_MAX: usize = 5;

/// The status, shared between a connector and its readers.
#[derive(Debug, Clone)]
pub struct SharedStatus {
    inner: Arc<Mutex<Inner>>,
    /// The part of the source that this handle tells about; none: the source as a whole.
    part: Option<String>,
}

#[derive(Debug)]
struct Inner {
    status: Status,
    cost_per_post_usd: Option<f64>,
    /// Posts per second of the last minute, with the second that each stands for.
    seconds: [(i64, u64); 60],
    /// What is polled, with its last error.
    polled: BTreeMap<String, Option<String>>,
    /// Notes about what is polled, by its name.
    notes: BTreeMap<String, Vec<String>>,
}

impl Default for SharedStatus {
    fn default() -> Self {
        let status = Status {
            state: State::Connecting,
            connected_since: None,
            heard_at: None,
            last_post_at: None,
            posts_per_minute: 0,
            last_error: None,
            connections: 0,
            posts_read: 0,
            posts_billed: 0,
            cost_usd: None,
            topics_left_out: BTreeMap::new(),
            notes: Vec::new(),
            filling_gap: false,
            posts_from_gaps: 0,
        };
        let (polled, notes) = Default::default();
        let inner = Inner { status, cost_per_post_usd: None, seconds: [(0, 0); 60], polled, notes };
        Self { inner: Arc::new(Mutex::new(inner)), part: None }
    }
}

impl SharedStatus {
    /// The status as it is at `now`.
    pub fn get(&self, now: Timestamp) -> Status {
        let inner = self.inner();
        let recent = inner.seconds.iter().filter(|(second, _)| now.timestamp() - second < 60);
        let posts_per_minute = recent.map(|(_, posts)| posts).sum();
        Status { posts_per_minute, ..inner.status.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle for a connection beside what is polled: its errors are told under this name, and the source stays
    /// connected as long as anything of it answers.
    pub(crate) fn of_part(&self, name: impl Into<String>) -> Self {
        Self { inner: self.inner.clone(), part: Some(name.into()) }
    }

    pub(crate) fn set_state(&self, state: State) {
        if self.part.is_some() {
            return;
        }
        let mut inner = self.inner();
        inner.status.state = state;
        inner.status.connected_since = inner.status.connected_since.filter(|_| state == State::Connected);
    }

    pub(crate) fn connected(&self, now: Timestamp) {
        if let Some(part) = &self.part {
            return self.answered(part, now);
        }
        let mut inner = self.inner();
        inner.status.state = State::Connected;
        inner.status.connected_since = Some(now);
        inner.status.connections += 1;
    }

    pub(crate) fn heard(&self, now: Timestamp) {
        self.inner().status.heard_at = Some(now);
    }

    pub(crate) fn set_error(&self, message: &str) {
        let mut inner = self.inner();
        match &self.part {
            None => inner.status.last_error = Some(message.to_owned()),
            Some(part) => {
                inner.polled.insert(part.clone(), Some(message.to_owned()));
                inner.status.last_error = inner.errors();
            }
        }
    }

    /// Something that is polled answered.
    pub(crate) fn answered(&self, name: &str, now: Timestamp) {
        let mut inner = self.inner();
        inner.polled.insert(name.to_owned(), None);
        inner.status.heard_at = Some(now);
        inner.status.connections += 1;
        inner.status.connected_since = inner.status.connected_since.or(Some(now));
        inner.status.state = State::Connected;
        inner.status.last_error = inner.errors();
    }

    /// Something that is polled failed. The source is connected as long as anything of it answers.
    pub(crate) fn failed(&self, name: &str, message: &str, delay: Duration) {
        let mut inner = self.inner();
        inner.polled.insert(name.to_owned(), Some(message.to_owned()));
        if inner.polled.values().all(Option::is_some) {
            inner.status.state = State::Waiting { seconds: delay.as_secs_f64() };
            inner.status.connected_since = None;
        }
        inner.status.last_error = inner.errors();
    }

    pub(crate) fn set_topics(&self, left_out: BTreeMap<String, String>, notes: Vec<String>) {
        let mut inner = self.inner();
        inner.status.topics_left_out = left_out;
        inner.status.notes = notes;
    }

    /// Replaces the notes about one thing that is polled.
    pub(crate) fn set_notes(&self, name: &str, notes: Vec<String>) {
        let mut inner = self.inner();
        inner.notes.insert(name.to_owned(), notes);
        let lines =
            inner.notes.iter().flat_map(|(name, notes)| notes.iter().map(move |note| format!("{name}: {note}")));
        inner.status.notes = lines.collect();
    }

    pub(crate) fn set_filling(&self, filling: bool) {
        self.inner().status.filling_gap = filling;
    }

    /// The platform charges for posts; `read` and `billed`: posts before this start.
    pub(crate) fn set_cost(&self, per_post_usd: f64, read: u64, billed: u64) {
        let mut inner = self.inner();
        inner.cost_per_post_usd = Some(per_post_usd);
        inner.add(read, billed);
    }

    /// Counts posts; `live`: not from a search for the posts of a break.
    pub(crate) fn read(&self, posts: u64, billed: u64, now: Timestamp, live: bool) {
        let mut inner = self.inner();
        inner.add(posts, billed);
        if !live {
            inner.status.posts_from_gaps += billed;
            return;
        }
        inner.status.last_post_at = Some(now);
        let second = now.timestamp();
        let slot = &mut inner.seconds[usize::try_from(second.rem_euclid(60)).unwrap_or(0)];
        *slot = if slot.0 == second { (second, slot.1 + posts) } else { (second, posts) };
    }
}

impl Inner {
    /// The errors of what is polled, in one line.
    fn errors(&self) -> Option<String> {
        let failing = self.polled.iter().filter_map(|(name, error)| Some((name, error.as_ref()?)));
        let lines: Vec<String> = failing.take(ERRORS_MAX).map(|(name, error)| format!("{name}: {error}")).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    fn add(&mut self, read: u64, billed: u64) {
        self.status.posts_read += read;
        self.status.posts_billed += billed;
        self.status.cost_usd = self.cost_per_post_usd.map(|cost| self.status.posts_billed as f64 * cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_fails_is_told_and_leaves_the_source_connected() {
        let (status, now) = (SharedStatus::default(), Timestamp::UNIX_EPOCH);
        let stream = status.of_part("stream of #a");
        status.answered("#a", now);
        stream.set_state(State::Connecting);
        stream.set_error("the stream broke");
        let told = status.get(now);
        assert_eq!(
            (told.state, told.last_error.as_deref()),
            (State::Connected, Some("stream of #a: the stream broke"))
        );
        stream.connected(now);
        assert_eq!(status.get(now).last_error, None);
    }
}
