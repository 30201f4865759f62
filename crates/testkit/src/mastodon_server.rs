//! An instance of Mastodon in small: the timeline of a hashtag, page by page, and its stream of server-sent events.

use crate::conformance::StandIn;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// A running instance; dropped, it stops.
pub struct MastodonServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// The token that the stream wants.
    token: String,
    /// The oldest first.
    statuses: Mutex<Vec<Value>>,
    events: broadcast::Sender<String>,
}

impl Shared {
    fn statuses(&self) -> MutexGuard<'_, Vec<Value>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids are numbers that grow, as text.
const FIRST_ID: u64 = 115_000_000_000_000_000;

fn uri(number: usize) -> String {
    format!("https://fedi.example/users/bo/statuses/{number}")
}

fn status(number: usize) -> Value {
    json!({
        "id": (FIRST_ID + number as u64).to_string(), "uri": uri(number), "url": format!("https://fedi.example/@bo/{number}"),
        "created_at": "2026-11-01T10:00:00.000Z", "edited_at": null, "language": "en", "spoiler_text": "",
        "content": format!("<p>Entry {number} &amp; more</p>"), "reblog": null,
        "account": {"id": "7", "acct": "bo@fedi.example", "followers_count": 12},
    })
}

impl MastodonServer {
    /// Starts with so many statuses under every hashtag.
    pub async fn start(statuses: usize, token: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let statuses = Mutex::new((0..statuses).map(status).collect());
        let shared = Arc::new(Shared { token: token.into(), statuses, events: broadcast::channel(100).0 });
        let routes = Router::new()
            .route("/api/v2/instance", get(instance))
            .route("/api/v1/timelines/tag/{tag}", get(timeline))
            .route("/api/v1/timelines/public", get(timeline))
            .route("/api/v1/streaming/hashtag", get(streaming))
            .with_state(shared.clone());
        let task = tokio::spawn(async move {
            // An error here means that the listener is gone, and the test sees that by itself.
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self { address, shared, task })
    }

    /// Publishes one more status.
    pub fn publish(&self) {
        let mut statuses = self.shared.statuses();
        let number = statuses.len();
        statuses.push(status(number));
    }

    /// A status of another instance comes: it was written before all others, which its id tells.
    pub fn deliver_late(&self) {
        let mut late = status(0);
        late["id"] = (FIRST_ID - 1).to_string().into();
        late["uri"] = "https://late.example/1".into();
        self.shared.statuses().insert(0, late);
    }

    /// The text of this status becomes another.
    pub fn rewrite(&self, number: usize, text: &str) {
        let mut statuses = self.shared.statuses();
        statuses[number]["content"] = text.into();
        statuses[number]["edited_at"] = "2026-11-01T10:30:00.000Z".into();
    }

    /// Sends an event once somebody listens.
    fn send(&self, event: String) {
        let events = self.shared.events.clone();
        tokio::spawn(async move {
            while events.send(event.clone()).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}

impl Drop for MastodonServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The stream is at the address by which the client came.
async fn instance(headers: HeaderMap) -> Json<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    Json(json!({"title": "In small", "configuration": {"urls": {"streaming": format!("ws://{host}")}}}))
}

async fn timeline(
    State(shared): State<Arc<Shared>>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Json<Vec<Value>> {
    let limit = parameters.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
    let statuses = shared.statuses();
    let id = |status: &Value| status["id"].as_str().and_then(|id| id.parse::<u64>().ok()).unwrap_or(0);
    let mut page: Vec<Value> = match parameters.get("min_id").and_then(|id| id.parse::<u64>().ok()) {
        Some(min_id) => statuses.iter().filter(|status| id(status) > min_id).take(limit).cloned().collect(),
        None => statuses.iter().skip(statuses.len().saturating_sub(limit)).cloned().collect(),
    };
    page.reverse();
    Json(page)
}

async fn streaming(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    if given != Some(format!("Bearer {}", shared.token).as_str()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let events = shared.events.subscribe();
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b":)\n")) });
    let rest = stream::unfold(events, |mut events| async {
        let event = events.recv().await.ok()?;
        Some((Ok(Bytes::from(event)), events))
    });
    let body = Body::from_stream(futures::StreamExt::chain(first, rest));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

impl StandIn for MastodonServer {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn offered(&self) -> BTreeSet<String> {
        (0..self.shared.statuses().len()).map(|number| format!("mastodon:{}", uri(number))).collect()
    }

    fn edit(&self) -> Option<String> {
        let mut edited = status(0);
        edited["content"] = "<p>Entry 0, corrected</p>".into();
        edited["edited_at"] = "2026-11-01T10:30:00.000Z".into();
        self.send(format!("event: status.update\ndata: {edited}\n\n"));
        Some(format!("mastodon:{}", uri(0)))
    }

    fn delete(&self) -> Option<String> {
        self.send(format!("event: delete\ndata: {}\n\n", FIRST_ID + 1));
        Some(format!("mastodon:{}", uri(1)))
    }
}
