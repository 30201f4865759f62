//! Platforms in small that list their items newest first, page by page, as JSON. What they share is here; each file is the
//! protocol of one platform.

pub mod appstore;
pub mod discourse;
pub mod github;
pub mod googleplay;
pub mod hackernews;
pub mod stackexchange;
pub mod youtube;

use crate::conformance::StandIn;
use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Unix time of the first item; each further one is a minute later.
const FIRST_S: i64 = 1_793_527_200;

/// The protocol of a platform.
#[derive(Clone, Copy)]
pub struct Protocol {
    /// Id of the post of an item.
    pub post_id: fn(usize) -> String,
    pub answer: fn(&[Entry], &Request) -> Response,
    /// Edits show.
    pub edits: bool,
    /// Deletions show.
    pub deletes: bool,
}

/// An item. Its place in the list is its number.
#[derive(Debug, Clone)]
pub struct Entry {
    pub number: usize,
    pub text: String,
    /// Starts at 1.
    pub version: u32,
    pub is_deleted: bool,
}

impl Entry {
    fn new(number: usize) -> Self {
        Self { number, text: format!("Entry {number} & more"), version: 1, is_deleted: false }
    }

    /// When it was written, in seconds.
    pub fn written_s(&self) -> i64 {
        FIRST_S + 60 * i64::try_from(self.number).unwrap_or(0)
    }

    /// When it was written, as RFC 3339.
    pub fn written(&self) -> String {
        rfc3339(self.written_s())
    }

    /// When it was last changed: each edit is a day later.
    pub fn changed_s(&self) -> i64 {
        self.written_s() + 86_400 * i64::from(self.version - 1)
    }

    /// When it was last changed, as RFC 3339.
    pub fn changed(&self) -> String {
        rfc3339(self.changed_s())
    }

    /// The text as HTML.
    pub fn html(&self) -> String {
        format!("<p>{}</p>", self.text.replace('&', "&amp;"))
    }
}

fn rfc3339(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A request.
#[derive(Debug)]
pub struct Request {
    pub path: String,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
}

impl Request {
    /// A number in the query.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.query.get(name)?.parse().ok()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A running platform; dropped, it stops.
pub struct ListServer {
    address: SocketAddr,
    protocol: Protocol,
    entries: Arc<Mutex<Vec<Entry>>>,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ListServer {
    /// Starts with so many items.
    pub async fn start(protocol: Protocol, entries: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let entries = Arc::new(Mutex::new((0..entries).map(Entry::new).collect::<Vec<_>>()));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (shared, asked) = (entries.clone(), requests.clone());
        let routes = Router::new().fallback(
            move |uri: Uri, Query(query): Query<HashMap<String, String>>, headers: HeaderMap, body: String| async move {
                asked.lock().unwrap_or_else(PoisonError::into_inner).push(uri.to_string());
                let entries = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                (protocol.answer)(&entries, &Request { path: uri.path().to_owned(), query, headers, body })
            },
        );
        let task = tokio::spawn(async move {
            // An error here means that the listener is gone, and the test sees that by itself.
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self { address, protocol, entries, requests, task })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes more items.
    pub fn publish(&self, more: usize) {
        let mut entries = self.entries();
        let first = entries.len();
        entries.extend((first..first + more).map(Entry::new));
    }

    /// Paths with queries of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn for ListServer {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn offered(&self) -> BTreeSet<String> {
        (0..self.entries().len()).map(self.protocol.post_id).collect()
    }

    fn edit(&self) -> Option<String> {
        let mut entries = self.entries();
        let entry = entries.first_mut().filter(|_| self.protocol.edits)?;
        entry.text = "Entry 0, corrected".into();
        entry.version += 1;
        Some((self.protocol.post_id)(0))
    }

    fn delete(&self) -> Option<String> {
        let mut entries = self.entries();
        entries.get_mut(1).filter(|_| self.protocol.deletes)?.is_deleted = true;
        Some((self.protocol.post_id)(1))
    }
}
