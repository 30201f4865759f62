//! The connector of Bluesky: the public stream Jetstream, which needs no account. It carries all posts of the network, so
//! those that no topic wants are dropped here.
//!
//! The cursor is the time of the last event. After a break the stream is resumed a little before it: repeats are dropped
//! by the queue. Jetstream keeps 36 hours, so a longer break leaves a gap, which is told. Deletions are followed for posts
//! that were kept. Events about whole accounts (takedowns) are not followed.

mod edits;
pub(crate) mod payload;
mod profiles;

use crate::connector::{self, Check, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::backoff::BackoffPolicy;
use crate::kit::failure::Failure;
use crate::kit::http::{Fetcher, web_address};
use crate::kit::ingest;
use crate::kit::status::State;
use crate::kit::stream::{self, Ended, Limits, Streaming, Taken};
use crate::record::{Format, Origin, Parsed, RECORD_MAX_BYTES, Rejection};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use domain::topic::TopicMatcher;
use domain::{Clock, PostId, Provenance, Timestamp};
use edits::Edits;
use futures::{FutureExt, StreamExt};
use payload::{Event, Operation, PLATFORM, POSTS, Payload};
use profiles::Profiles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use state::Cursor;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;
use url::Url;

const JETSTREAM: &str = "wss://jetstream2.us-east.bsky.network/subscribe";
const PUBLIC_API: &str = "https://public.api.bsky.app";
/// Events come a little out of order over the stream's servers: it is resumed this much before the last one.
const REWIND_US: i64 = 5_000_000;
/// How far back Jetstream goes.
const KEPT: TimeDelta = TimeDelta::hours(36);
/// The cursor is written at most this often while events come.
const SAVE_EVERY: TimeDelta = TimeDelta::seconds(1);
/// Messages that are taken together.
const TOGETHER_MAX: usize = 500;
/// Longest message that is received. A real one has some kilobytes.
const MESSAGE_MAX_BYTES: usize = 64 << 20;
/// Connections that end at the same message before it is passed over.
const TRIES_MAX: u32 = 3;
/// How much later the stream is resumed to pass over a message; doubled while it comes again.
const PASS_OVER_US: i64 = 1_000;

/// Settings of a source of the kind `bluesky`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address of Jetstream.
    pub url: String,
    /// Address of the API that knows the authors' names; empty: names are not looked up.
    pub api_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: JETSTREAM.into(), api_url: PUBLIC_API.into() }
    }
}

impl Settings {
    fn config(&self) -> Result<BlueskyConfig> {
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host());
        let url =
            url.ok_or_else(|| Error::Setting(format!("invalid url {:?} (expected e.g. {JETSTREAM})", self.url)))?;
        let unreadable = || Error::Setting(format!("invalid api_url {:?} (expected e.g. {PUBLIC_API})", self.api_url));
        let api = (!self.api_url.is_empty()).then(|| web_address(&self.api_url).ok_or_else(unreadable)).transpose()?;
        Ok(BlueskyConfig::new(url, api))
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Bluesky";
    const ABOUT: &str = "All public posts on Bluesky that match your topics. Needs no account.";
    const FORMATS: &[Format] = &[payload::FORMAT];

    fn check(&self) -> Result<()> {
        self.config().map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![PLATFORM.into()]
    }

    fn connector(&self, _: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Bluesky::new(self.config()?)?))
    }
}

/// What the connector works with.
#[derive(Debug, Clone)]
pub struct BlueskyConfig {
    pub url: Url,
    pub api: Option<Url>,
    /// Silence after which the connection counts as dead: Jetstream always has events.
    pub silence_max: Duration,
    /// For the connection, and for looking up authors.
    pub request_timeout: Duration,
    /// Longest message that is received.
    pub message_max_bytes: usize,
    pub backoff: BackoffPolicy,
}

impl BlueskyConfig {
    /// The usual patience.
    pub fn new(url: Url, api: Option<Url>) -> Self {
        let (silence_max, request_timeout) = (Duration::from_secs(60), Duration::from_secs(30));
        let (message_max_bytes, backoff) = (MESSAGE_MAX_BYTES, BackoffPolicy::default());
        Self { url, api, silence_max, request_timeout, message_max_bytes, backoff }
    }
}

/// The connector.
pub struct Bluesky {
    config: BlueskyConfig,
    fetcher: Fetcher,
}

impl Bluesky {
    pub fn new(config: BlueskyConfig) -> Result<Self> {
        let fetcher = Fetcher::new(config.request_timeout)?;
        Ok(Self { config, fetcher })
    }
}

#[async_trait]
impl Connector for Bluesky {
    async fn check(&self, _: &dyn Clock) -> Check {
        match connect(&self.config, None).await {
            Ok(_) => Check { ok: true, summary: "Jetstream lets us in; it needs no account".into(), advice: None },
            Err(failure) => Check {
                ok: false,
                summary: failure.message(),
                advice: Some("check the url, the network, the proxy and the firewall of this machine".into()),
            },
        }
    }

    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()> {
        let mut cursor: Cursor<Position> =
            Cursor::load(context.state.clone(), format!("bluesky:{}", context.source)).await?;
        // What is published from the first start on is not lost when that ends before the first event.
        cursor.value.time_us.get_or_insert(context.clock.now().timestamp_micros());
        cursor.save().await?;
        let limits = Limits { silence_max: self.config.silence_max, backoff: self.config.backoff };
        let mut listener = Listener {
            profiles: Profiles::new(self.fetcher, self.config.api.clone()),
            config: self.config,
            matcher: None,
            context: context.clone(),
            cursor,
            saved_at: None,
            stuck: Stuck::default(),
        };
        let ended = stream::run(&mut listener, &context, limits, &shutdown).await;
        context.status.set_state(State::Stopped);
        listener.cursor.save().await?;
        ended
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the stream, from a cursor on.
async fn connect(config: &BlueskyConfig, cursor: Option<i64>) -> Result<Socket, Failure> {
    let mut url = config.url.clone();
    url.query_pairs_mut().append_pair("wantedCollections", POSTS);
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", &cursor.to_string());
    }
    let longest = Some(config.message_max_bytes);
    let limits = WebSocketConfig::default().max_message_size(longest).max_frame_size(longest);
    let connecting = connect_async_with_config(url.as_str(), Some(limits), true);
    match tokio::time::timeout(config.request_timeout, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(answer))) => Err(refusal(answer.status().as_u16())),
        Ok(Err(error)) => Err(Failure::Network(format!("Jetstream can't be reached: {error}"))),
        Err(_) => Err(Failure::Network("Jetstream did not answer in time".into())),
    }
}

fn refusal(status: u16) -> Failure {
    match status {
        429 => Failure::Rate { message: "Jetstream asks us to slow down".into(), retry_at: None },
        _ => Failure::Http { status, message: format!("Jetstream answers with status {status}"), retry_at: None },
    }
}

/// What is remembered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Position {
    /// Time of the last event whose posts are in the queue, microseconds.
    time_us: Option<i64>,
    #[serde(skip_serializing_if = "Edits::is_empty")]
    edits: Edits,
}

/// The cursor after an event of the time `last`. Never ahead of our clock: one wrong event, or a clock that was wrong once,
/// would keep it there, and what a break leaves out would not be asked for.
fn reached(before: Option<i64>, last: Option<i64>, now: Timestamp) -> Option<i64> {
    before.max(last).map(|at| at.min(now.timestamp_micros()))
}

/// An open stream.
struct Connection {
    socket: Socket,
    /// Why it ended, once what came before is taken.
    ended: Option<Ended>,
}

/// What came together.
struct Heard {
    texts: Vec<String>,
    /// After them a message came that is too long to be received.
    is_cut: bool,
}

/// A message that ends every connection.
#[derive(Debug, Default)]
struct Stuck {
    /// The cursor before it.
    at: Option<i64>,
    tries: u32,
    /// The stream is resumed here, if the cursor is not further.
    behind: Option<i64>,
}

/// Reads the stream.
struct Listener {
    config: BlueskyConfig,
    context: Context,
    profiles: Profiles,
    matcher: Option<TopicMatcher>,
    cursor: Cursor<Position>,
    saved_at: Option<Timestamp>,
    stuck: Stuck,
}

#[async_trait]
impl Streaming for Listener {
    type Connection = Connection;
    type Event = Heard;

    async fn connect(&mut self) -> Result<Connection, Failure> {
        self.read_topics();
        let now = self.context.clock.now();
        let last = reached(self.cursor.value.time_us, None, now);
        let oldest = now - KEPT;
        let missed = last.and_then(DateTime::from_timestamp_micros).filter(|at| *at < oldest);
        if let Some(since) = missed {
            tracing::warn!(source.id = %self.context.source, %since, "Jetstream no longer has the posts since then");
            self.context.status.set_error(&format!("posts between {since} and 36 hours ago are no longer to be had"));
        }
        let from = last.map(|last| last.saturating_sub(REWIND_US)).max(self.stuck.behind);
        let socket = connect(&self.config, from).await?;
        Ok(Connection { socket, ended: None })
    }

    async fn next(&self, connection: &mut Connection) -> Result<Heard, Ended> {
        if let Some(ended) = connection.ended.take() {
            return Err(ended);
        }
        let mut texts = Vec::new();
        let mut message = connection.socket.next().await;
        loop {
            let ended = match message {
                Some(Ok(Message::Text(text))) => {
                    texts.push(text.as_str().to_owned());
                    None
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    Some(format!("Jetstream closed the connection: {reason}"))
                }
                // Pings are answered by the library.
                Some(Ok(_)) => None,
                Some(Err(tungstenite::Error::Capacity(_))) => return Ok(Heard { texts, is_cut: true }),
                Some(Err(error)) => Some(format!("the connection broke: {error}")),
                None => Some("Jetstream closed the connection".into()),
            };
            match ended.map(Ended::broken) {
                Some(ended) if texts.is_empty() => return Err(ended),
                Some(ended) => connection.ended = Some(ended),
                None => {}
            }
            if texts.len() >= TOGETHER_MAX || connection.ended.is_some() {
                return Ok(Heard { texts, is_cut: false });
            }
            message = match connection.socket.next().now_or_never() {
                Some(message) => message,
                None => return Ok(Heard { texts, is_cut: false }),
            };
        }
    }

    async fn take(&mut self, _: &mut Connection, heard: Heard) -> domain::Result<Taken> {
        self.store(&heard.texts).await?;
        if !heard.is_cut {
            return Ok(Taken::GoOn);
        }
        self.pass_over_too_long().await?;
        let longest = self.config.message_max_bytes;
        Ok(Taken::Ended(Ended::broken(format!("a message came that is longer than {longest} bytes"))))
    }

    async fn topics_changed(&mut self) {
        self.read_topics();
    }
}

impl Listener {
    fn read_topics(&mut self) {
        let topics = self.context.topics.borrow().clone();
        match TopicMatcher::of_readable(topics) {
            Ok((matcher, _)) => self.matcher = Some(matcher),
            Err(error) => tracing::warn!(source.id = %self.context.source, %error, "keeping the previous topics"),
        }
    }

    /// Stores what the topics want of these events, then moves the cursor.
    async fn store(&mut self, texts: &[String]) -> domain::Result<()> {
        let origin = self.context.origin(PLATFORM, Provenance::Stream);
        let (mut kept, mut deleted, mut last) = (Vec::new(), Vec::new(), None);
        for text in texts {
            // What can't be read is no post: Jetstream gets new kinds of events without notice.
            let Ok(event) = serde_json::from_str::<Event>(text) else {
                metrics::counter!("overheard_bluesky_unreadable_events_total").increment(1);
                continue;
            };
            last = last.max(Some(event.time_us));
            match event.commit_of_post().map(|commit| commit.operation) {
                Some(Operation::Delete) => deleted.extend(event.post_id()),
                Some(Operation::Create | Operation::Update) if self.wants(&event, &origin) => kept.push((text, event)),
                // What was kept before is no longer what the author says.
                Some(Operation::Update) => deleted.extend(event.post_id()),
                _ => {}
            }
        }
        self.keep(&kept, &origin).await?;
        let edited: Vec<PostId> = deleted.iter().filter_map(|post| self.cursor.value.edits.of(post)).collect();
        deleted.extend(edited);
        ingest::delete(&self.context, deleted, &origin).await?;
        self.moved(last, origin.received_at).await
    }

    /// Whether a topic wants the post. Posts without words are wanted by none.
    fn wants(&self, event: &Event, origin: &Origin) -> bool {
        let Some(matcher) = &self.matcher else { return false };
        let post = payload::post(event, String::new(), None, None, origin);
        post.is_ok_and(|post| !matcher.matches(&post, None).is_empty())
    }

    async fn keep(&mut self, kept: &[(&String, Event)], origin: &Origin) -> domain::Result<()> {
        self.profiles.look_up(kept.iter().map(|(_, event)| event.did.as_str()), origin.received_at).await;
        let mut parsed = Parsed::default();
        // Taken down only once the posts are in the queue, for what is cut off before comes again.
        let mut edits = self.cursor.value.edits.clone();
        for (text, event) in kept {
            if text.len() > RECORD_MAX_BYTES {
                let reason = format!("the message has {} bytes; at most {RECORD_MAX_BYTES} are accepted", text.len());
                parsed.rejections.push(Rejection::new(reason, text.as_bytes()));
                continue;
            }
            let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { continue };
            let replaces = edits.note(event).map(String::from);
            let payload = Payload { event: raw, author: self.profiles.get(&event.did), replaces };
            let json = serde_json::to_string(&payload).unwrap_or_default();
            (payload::FORMAT.parse)(&json, origin, &mut parsed);
        }
        ingest::store(&self.context, payload::FORMAT, parsed, origin).await?;
        self.cursor.value.edits = edits;
        Ok(())
    }

    /// A message is too long to be received. After some tries the stream is resumed behind it, with a dead letter that
    /// says so: it would end every connection.
    async fn pass_over_too_long(&mut self) -> domain::Result<()> {
        let at = self.cursor.value.time_us;
        let tries = if self.stuck.at == at { self.stuck.tries.saturating_add(1) } else { 1 };
        (self.stuck.at, self.stuck.tries) = (at, tries);
        if tries < TRIES_MAX {
            return Ok(());
        }
        let further = PASS_OVER_US << (tries - TRIES_MAX).min(20);
        self.stuck.behind = at.map(|at| at.saturating_add(further));
        let origin = self.context.origin(PLATFORM, Provenance::Stream);
        let since = at.and_then(DateTime::from_timestamp_micros).unwrap_or(origin.received_at);
        let reason = format!(
            "a message longer than {} bytes could not be received; the stream is resumed {} ms after {since}",
            self.config.message_max_bytes,
            further / 1_000
        );
        tracing::warn!(source.id = %self.context.source, reason, "message passed over");
        let rejections = vec![Rejection::new(reason, b"")];
        ingest::reject_patiently(&*self.context.queue, &origin, payload::FORMAT, rejections).await
    }

    /// The posts up to this event are in the queue.
    async fn moved(&mut self, last: Option<i64>, now: Timestamp) -> domain::Result<()> {
        self.cursor.value.time_us = reached(self.cursor.value.time_us, last, now);
        if self.saved_at.is_none_or(|at| now - at >= SAVE_EVERY || now < at) {
            self.saved_at = Some(now);
            self.cursor.save().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_grows_and_never_goes_ahead_of_the_clock() {
        let now = DateTime::from_timestamp_micros(1_000).unwrap();
        assert_eq!(reached(Some(10), Some(20), now), Some(20));
        assert_eq!(reached(Some(20), Some(10), now), Some(20), "events come a little out of order");
        assert_eq!(reached(Some(20), None, now), Some(20), "nothing could be read");
        assert_eq!(reached(Some(20), Some(i64::MAX), now), Some(1_000));
        assert_eq!(reached(Some(i64::MAX), Some(30), now), Some(1_000), "the clock was wrong before");
        assert_eq!(reached(None, None, now), None);
    }
}
