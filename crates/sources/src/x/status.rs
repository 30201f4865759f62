//! How the connector is doing, for people: read by the server and `doctor` while it runs.

use domain::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the connector is at.
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

/// A picture of the connector at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct XStatus {
    #[serde(flatten)]
    pub state: State,
    pub connected_since: Option<Timestamp>,
    /// When anything last came, blank lines included.
    pub heard_at: Option<Timestamp>,
    pub last_post_at: Option<Timestamp>,
    /// Posts of the stream within the last 60 seconds.
    pub posts_per_minute: u64,
    /// In words; stays after recovery, with `connected_since` telling that it is over.
    pub last_error: Option<String>,
    /// Times that the connection was opened.
    pub connections: u64,
    /// Posts ever read, repeats included.
    pub posts_read: u64,
    /// Posts ever read for the first time: what X charges.
    pub posts_billed: u64,
    pub cost_usd: f64,
    /// Rules in force that are ours.
    pub rules: usize,
    /// Topics that X can't be asked for, or whose rules it refused, with the reason.
    pub topics_left_out: BTreeMap<String, String>,
    /// Where rules are wider than their topic.
    pub notes: Vec<String>,
    /// A break whose posts are still to be searched for.
    pub filling_gap: bool,
    /// Posts that only the search brought.
    pub posts_from_gaps: u64,
}

/// The status, shared between the connector and its readers.
#[derive(Debug, Clone)]
pub struct SharedStatus(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    status: XStatus,
    cost_per_post_usd: f64,
    /// Posts per second of the last minute, with the second that each stands for.
    seconds: [(i64, u64); 60],
}

impl SharedStatus {
    pub(super) fn new(cost_per_post_usd: f64) -> Self {
        let status = XStatus {
            state: State::Connecting,
            connected_since: None,
            heard_at: None,
            last_post_at: None,
            posts_per_minute: 0,
            last_error: None,
            connections: 0,
            posts_read: 0,
            posts_billed: 0,
            cost_usd: 0.0,
            rules: 0,
            topics_left_out: BTreeMap::new(),
            notes: Vec::new(),
            filling_gap: false,
            posts_from_gaps: 0,
        };
        Self(Arc::new(Mutex::new(Inner { status, cost_per_post_usd, seconds: [(0, 0); 60] })))
    }

    /// The status as it is at `now`.
    pub fn get(&self, now: Timestamp) -> XStatus {
        let inner = self.inner();
        let recent = inner.seconds.iter().filter(|(second, _)| now.timestamp() - second < 60);
        let posts_per_minute = recent.map(|(_, posts)| posts).sum();
        XStatus { posts_per_minute, ..inner.status.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_state(&self, state: State) {
        let mut inner = self.inner();
        inner.status.state = state;
        inner.status.connected_since = inner.status.connected_since.filter(|_| state == State::Connected);
    }

    pub(super) fn connected(&self, now: Timestamp) {
        let mut inner = self.inner();
        inner.status.state = State::Connected;
        inner.status.connected_since = Some(now);
        inner.status.connections += 1;
    }

    pub(super) fn heard(&self, now: Timestamp) {
        self.inner().status.heard_at = Some(now);
    }

    pub(super) fn set_error(&self, words: &str) {
        self.inner().status.last_error = Some(words.to_owned());
    }

    pub(super) fn set_rules(&self, rules: usize, left_out: BTreeMap<String, String>, notes: Vec<String>) {
        let mut inner = self.inner();
        inner.status.rules = rules;
        inner.status.topics_left_out = left_out;
        inner.status.notes = notes;
    }

    pub(super) fn set_filling(&self, filling: bool) {
        self.inner().status.filling_gap = filling;
    }

    /// What was read before this start.
    pub(super) fn add_earlier(&self, read: u64, billed: u64) {
        self.inner().add(read, billed);
    }

    /// Counts posts; `streamed`: not from a search.
    pub(super) fn read(&self, posts: u64, billed: u64, now: Timestamp, streamed: bool) {
        let mut inner = self.inner();
        inner.add(posts, billed);
        if !streamed {
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
    fn add(&mut self, read: u64, billed: u64) {
        self.status.posts_read += read;
        self.status.posts_billed += billed;
        self.status.cost_usd = self.status.posts_billed as f64 * self.cost_per_post_usd;
    }
}
