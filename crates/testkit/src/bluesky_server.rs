//! Bluesky's Jetstream in small: a web socket that replays its events from a cursor on and then goes on live, with events
//! that nobody asked for among them.

use crate::conformance::StandIn;
use domain::{Clock, SystemClock};
use futures::SinkExt;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// A running server; dropped, it stops.
pub struct BlueskyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// With their times in microseconds.
    events: Mutex<Vec<(i64, String)>>,
    grown: watch::Sender<usize>,
}

impl Shared {
    fn events(&self) -> MutexGuard<'_, Vec<(i64, String)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: impl FnOnce(i64) -> serde_json::Value) {
        let mut events = self.events();
        let last = events.last().map_or(0, |(time, _)| *time);
        let time = SystemClock.now().timestamp_micros().max(last + 1);
        events.push((time, event(time).to_string()));
        self.grown.send_replace(events.len());
    }
}

const POSTS: &str = "app.bsky.feed.post";

fn did(number: usize) -> String {
    format!("did:plc:author{}", number % 3)
}

fn id(number: usize) -> String {
    format!("bluesky:at://{}/{POSTS}/{number}", did(number))
}

fn commit(number: usize, operation: &str, text: &str) -> impl FnOnce(i64) -> serde_json::Value {
    let record = json!({
        "$type": POSTS, "text": text, "createdAt": "2026-11-01T10:00:00.000Z", "langs": ["en"],
    });
    let (did, operation, cid) = (did(number), operation.to_owned(), format!("cid-{number}-{operation}"));
    move |time| {
        json!({"did": did, "time_us": time, "kind": "commit", "commit": {
            "rev": "r", "operation": operation, "collection": POSTS, "rkey": number.to_string(), "cid": cid,
            "record": record,
        }})
    }
}

/// Numbers of posts that hold none of the words that tests ask for.
const UNWANTED: usize = 1_000;

impl BlueskyServer {
    /// Starts with so many posts that hold the word "entry".
    pub async fn start(posts: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { events: Mutex::default(), grown: watch::Sender::new(0) });
        for number in 0..posts {
            shared.add(commit(number, "create", &format!("Entry {number}")));
            shared.add(commit(UNWANTED + number, "create", "of no concern"));
            shared.add(|time| json!({"did": did(number), "time_us": time, "kind": "identity", "identity": {}}));
        }
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, accepting.clone()));
            }
        });
        Ok(Self { address, shared, task })
    }

    /// An edit takes the word "entry" out of the post with this number.
    pub fn edit_away(&self, number: usize) {
        self.shared.add(commit(number, "update", "of no concern"));
    }

    /// A message of about so many bytes that is no post.
    pub fn add_long(&self, bytes: usize) {
        self.shared.add(|time| json!({"did": did(0), "time_us": time, "padding": "x".repeat(bytes)}));
    }

    /// One more post with the word "entry".
    pub fn publish(&self, number: usize) {
        self.shared.add(commit(number, "create", &format!("Entry {number}")));
    }

    /// Posts, and deletions of posts, that nobody asked for.
    pub fn add_noise(&self) {
        self.shared.add(commit(2 * UNWANTED, "delete", ""));
    }
}

impl Drop for BlueskyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends the events from the client's cursor on.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut cursor = i64::MAX;
    #[expect(clippy::result_large_err, reason = "the signature is that of tungstenite's callback")]
    let read_cursor = |request: &Request, response: Response| {
        let query = request.uri().query().unwrap_or_default();
        let given = query.split('&').find_map(|part| part.strip_prefix("cursor=")?.parse().ok());
        let newest = shared.events().last().map_or(0, |(time, _)| *time);
        cursor = given.unwrap_or(newest + 1);
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(client, read_cursor).await else { return };
    let mut grown = shared.grown.subscribe();
    let mut sent = 0;
    loop {
        let waiting: Vec<(i64, String)> = shared.events().iter().skip(sent).cloned().collect();
        sent += waiting.len();
        for (_, event) in waiting.into_iter().filter(|(time, _)| *time >= cursor) {
            if socket.send(Message::text(event)).await.is_err() {
                return;
            }
        }
        if grown.changed().await.is_err() {
            return;
        }
    }
}

impl StandIn for BlueskyServer {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn offered(&self) -> BTreeSet<String> {
        let posts = self.shared.events().iter().filter(|(_, event)| event.contains("Entry")).count();
        (0..posts).map(id).collect()
    }

    fn edit(&self) -> Option<String> {
        self.shared.add(commit(0, "update", "Entry 0, corrected"));
        Some(id(0))
    }

    fn delete(&self) -> Option<String> {
        self.add_noise();
        self.shared.add(commit(1, "delete", ""));
        Some(id(1))
    }
}
