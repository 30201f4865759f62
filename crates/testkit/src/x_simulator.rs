//! X as its own documents describe it, in small and on this machine: the filtered stream with its rules and limits, the
//! recent search, and all the trouble that a client must bear, by a seeded dice. It serves the posts of a JSONL file in
//! our simple form as X's payloads. Time goes on whether anybody listens: what is published during a break is only to be
//! had by searching, as in life.
//!
//! Written from X's public documents, not from the client that is tested with it.

mod faults;
mod payload;
mod routes;
mod rules;
mod stream;

use faults::Dice;
use rules::Rules;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use faults::Faults;
pub use payload::SimulatedPost;

/// How the simulator behaves.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    pub address: SocketAddr,
    /// The bearer token that it accepts.
    pub token: String,
    /// Posts published each second.
    pub posts_per_second: f64,
    /// A blank line after so much silence; X promises 20 s.
    pub keep_alive: Duration,
    pub rules_max: usize,
    pub rule_length_max_chars: usize,
    /// Requests in a window of 15 minutes: stream, reading rules, changing rules, searching.
    pub limits: Limits,
    /// Answers 403 `client-not-enrolled` to everything, as for an app without the right plan.
    pub not_enrolled: bool,
    pub faults: Faults,
}

/// Requests that X allows in 15 minutes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub stream: u32,
    pub read_rules: u32,
    pub change_rules: u32,
    pub search: u32,
    /// Length of the window.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stream: 50, read_rules: 450, change_rules: 100, search: 450, window: Duration::from_secs(900) }
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: "simulator-token".into(),
            posts_per_second: 50.0,
            keep_alive: Duration::from_secs(20),
            rules_max: 1_000,
            rule_length_max_chars: 1_024,
            limits: Limits::default(),
            not_enrolled: false,
            faults: Faults::default(),
        }
    }
}

/// What the simulator has seen, for assertions.
#[derive(Debug, Default)]
pub struct Seen {
    pub connections: AtomicU64,
    pub refused_connections: AtomicU64,
    pub rate_limited: AtomicU64,
    pub delivered: AtomicU64,
    pub duplicated: AtomicU64,
    pub broken_lines: AtomicU64,
    pub disconnects: AtomicU64,
    pub unknown_messages: AtomicU64,
    pub searches: AtomicU64,
    pub dry_runs: AtomicU64,
    pub edits: AtomicU64,
    pub deletions: AtomicU64,
}

/// A running simulator; dropped, it stops.
#[derive(Debug)]
pub struct XSimulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    config: SimulatorConfig,
    posts: Vec<SimulatedPost>,
    /// How many posts are published.
    published: watch::Sender<usize>,
    /// Somebody has listened: time goes on from here.
    started: watch::Sender<bool>,
    rules: Mutex<Rules>,
    dice: Mutex<Dice>,
    connected: AtomicBool,
    windows: Mutex<HashMap<&'static str, routes::Window>>,
    seen: Seen,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl XSimulator {
    /// Starts serving; a port of 0 in the configuration takes a free one.
    pub async fn start(config: SimulatorConfig, posts: Vec<SimulatedPost>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(config.address).await?;
        let address = listener.local_addr()?;
        let posts = payload::with_edits(posts, config.faults.edit_share, config.faults.seed);
        let shared = Arc::new(Shared {
            rules: Mutex::new(Rules::new(config.rules_max, config.rule_length_max_chars)),
            dice: Mutex::new(Dice::new(config.faults.seed)),
            published: watch::Sender::new(0),
            started: watch::Sender::new(false),
            connected: AtomicBool::new(false),
            windows: Mutex::default(),
            seen: Seen::default(),
            config,
            posts,
        });
        let application = routes::application(shared.clone());
        let serving = tokio::spawn(async move {
            // An error here means that the listener is gone, and the test sees that by itself.
            let _ended = axum::serve(listener, application).await;
        });
        let publishing = tokio::spawn(stream::publish(shared.clone()));
        Ok(Self { address, shared, tasks: vec![serving, publishing] })
    }

    /// The base URL for a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has seen so far.
    pub fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// The ids of all posts that it serves, edits included.
    pub fn post_ids(&self) -> Vec<String> {
        self.shared.posts.iter().map(|post| post.id.clone()).collect()
    }

    /// Ids of first versions that an edit replaced.
    pub fn replaced_ids(&self) -> Vec<String> {
        self.shared.posts.iter().flat_map(|post| post.replaces.clone()).collect()
    }

    /// Whether every post is published.
    pub fn finished(&self) -> bool {
        *self.shared.published.borrow() >= self.shared.posts.len()
    }

    /// Values and tags of the rules in force.
    pub fn rules(&self) -> Vec<(String, Option<String>)> {
        self.shared.rules().all().map(|rule| (rule.value.clone(), rule.tag.clone())).collect()
    }
}

impl Drop for XSimulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads posts in our simple form, one a line; lines that are none are skipped.
pub fn read_posts(path: &Path) -> std::io::Result<Vec<SimulatedPost>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().filter_map(SimulatedPost::from_simple).collect())
}
