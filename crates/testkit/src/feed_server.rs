//! A web server with one feed in the form of RSS, as publishers run it: entity tags, 304, and a document that lists the
//! newest entries.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::conformance::StandIn;

/// A running server; dropped, it stops.
pub struct FeedServer {
    address: SocketAddr,
    feed: Arc<Mutex<Feed>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Feed {
    /// Titles; the place is the entry's number.
    titles: Vec<String>,
    /// Grows with every change.
    version: u64,
    /// Conditional requests that met no change.
    unchanged: u64,
}

impl FeedServer {
    /// Starts with so many entries.
    pub async fn start(entries: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let titles = (0..entries).map(|number| format!("Entry {number}")).collect();
        let feed = Arc::new(Mutex::new(Feed { titles, ..Feed::default() }));
        let routes = Router::new().route("/feed.xml", get(document)).with_state(feed.clone());
        let task = tokio::spawn(async move {
            // An error here means that the listener is gone, and the test sees that by itself.
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self { address, feed, task })
    }

    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that were answered with 304.
    pub fn unchanged(&self) -> u64 {
        self.feed().unchanged
    }

    /// Publishes one more entry.
    pub fn publish(&self) {
        let mut feed = self.feed();
        let number = feed.titles.len();
        feed.titles.push(format!("Entry {number}"));
        feed.version += 1;
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn document(State(feed): State<Arc<Mutex<Feed>>>, headers: HeaderMap) -> Response {
    let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
    let etag = format!("\"v{}\"", feed.version);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        feed.unchanged += 1;
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let items: String = feed.titles.iter().enumerate().rev().map(|(number, title)| item(number, title)).collect();
    let document = format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>Feed</title><link>https://example.org/</link>\
         <description>A feed</description><language>en</language>{items}</channel></rss>"
    );
    let headers = [(header::ETAG, etag), (header::CONTENT_TYPE, "application/rss+xml".into())];
    (headers, document).into_response()
}

fn item(number: usize, title: &str) -> String {
    format!(
        "<item><title>{title}</title><link>https://example.org/{number}</link><guid>https://example.org/{number}</guid>\
         <pubDate>Sun, 01 Nov 2026 10:{:02}:{:02} GMT</pubDate>\
         <description>&lt;p&gt;Words of entry {number}.&lt;/p&gt;</description></item>",
        number / 60 % 60,
        number % 60
    )
}

impl StandIn for FeedServer {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn offered(&self) -> BTreeSet<String> {
        (0..self.feed().titles.len()).map(|number| format!("news:https://example.org/{number}")).collect()
    }

    fn edit(&self) -> Option<String> {
        let mut feed = self.feed();
        *feed.titles.first_mut()? = "Entry 0, corrected".into();
        feed.version += 1;
        Some("news:https://example.org/0".into())
    }

    fn delete(&self) -> Option<String> {
        None
    }
}
