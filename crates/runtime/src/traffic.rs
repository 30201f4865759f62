//! What was committed lately: posts per second, lag, and posts per source. Counted from the commits that this process
//! sees.

use chrono::TimeDelta;
use domain::{EnrichedPost, SourceStatus, Timestamp};
use pipeline::Committed;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Rates are means over this time.
const RECENT: TimeDelta = TimeDelta::minutes(1);

/// What a source brought since the process started.
#[derive(Default)]
struct Seen {
    posts: u64,
    last_post_at: Option<Timestamp>,
    /// Commits of the last minute with the posts of the source in each.
    recent: VecDeque<(Timestamp, usize)>,
}

/// One commit: when, and how long each post was under way.
struct Batch {
    at: Timestamp,
    lags_ms: Vec<u64>,
}

/// Posts per second and the lag from arrival to commit, over the last minute.
pub(crate) struct Speed {
    pub(crate) posts_per_second: f64,
    pub(crate) lag_p50_ms: Option<u64>,
    pub(crate) lag_p99_ms: Option<u64>,
}

/// Counts commits.
pub(crate) struct Traffic {
    started_at: Timestamp,
    recent: Mutex<VecDeque<Batch>>,
    seen: Mutex<BTreeMap<String, Seen>>,
}

impl Traffic {
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self { started_at, recent: Mutex::default(), seen: Mutex::default() }
    }

    /// Counts a commit.
    pub(crate) fn observe(&self, committed: &Committed) {
        self.observe_sources(committed);
        let lag = |post: &EnrichedPost| (committed.at - post.post.received_at).num_milliseconds().max(0) as u64;
        let batch = Batch { at: committed.at, lags_ms: committed.posts.iter().map(lag).collect() };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(batch);
        while recent.front().is_some_and(|oldest| committed.at - oldest.at > RECENT) {
            recent.pop_front();
        }
    }

    /// Counts what each source brought in a commit.
    fn observe_sources(&self, committed: &Committed) {
        let mut brought: BTreeMap<&str, (usize, Timestamp)> = BTreeMap::new();
        for post in committed.posts.iter() {
            let entry = brought.entry(&post.post.source.0).or_insert((0, post.post.received_at));
            *entry = (entry.0 + 1, entry.1.max(post.post.received_at));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, (posts, last)) in brought {
            let one = seen.entry(source.to_owned()).or_default();
            one.posts += posts as u64;
            one.last_post_at = one.last_post_at.max(Some(last));
            one.recent.push_back((committed.at, posts));
            while one.recent.front().is_some_and(|(at, _)| committed.at - *at > RECENT) {
                one.recent.pop_front();
            }
        }
    }

    /// Adds the counts to the status of each source, and sources that have no connector here (`sample`, imports).
    pub(crate) fn add_to(&self, mut sources: Vec<SourceStatus>, now: Timestamp) -> Vec<SourceStatus> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, one) in seen.iter() {
            let minute =
                one.recent.iter().filter(|(at, _)| now - *at <= RECENT).map(|(_, posts)| *posts).sum::<usize>();
            let known = sources.iter_mut().find(|source| source.id == *id);
            // Connectors count by themselves; pushed posts are counted here.
            if known.as_ref().is_some_and(|source| source.connector != "push") {
                continue;
            }
            let connector = id.split(':').next().unwrap_or_default();
            // The import of a file has ended, or will.
            let is_file = connector == "file";
            let status = SourceStatus {
                id: id.clone(),
                connector: connector.to_owned(),
                state: if is_file { "imported" } else { "connected" }.into(),
                since: (!is_file).then_some(self.started_at),
                ..SourceStatus::default()
            };
            let status = SourceStatus {
                posts: one.posts,
                posts_per_minute: minute as f64,
                last_post_at: one.last_post_at,
                ..known.as_deref().cloned().unwrap_or(status)
            };
            match known {
                Some(source) => *source = status,
                None => sources.push(status),
            }
        }
        sources
    }

    /// The rates of the last minute.
    pub(crate) fn speed(&self, now: Timestamp) -> Speed {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let within = recent.iter().filter(|batch| now - batch.at <= RECENT);
        let mut lags: Vec<u64> = within.flat_map(|batch| batch.lags_ms.iter().copied()).collect();
        lags.sort_unstable();
        let quantile =
            |share: f64| lags.get(((lags.len() as f64 * share) as usize).min(lags.len().saturating_sub(1))).copied();
        Speed {
            posts_per_second: lags.len() as f64 / RECENT.num_seconds() as f64,
            lag_p50_ms: quantile(0.5),
            lag_p99_ms: quantile(0.99),
        }
    }
}
