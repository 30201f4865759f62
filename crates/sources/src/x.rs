//! The connector of X: the filtered stream of API v2, with its rules kept in step with our topics, and a search that
//! fills the gaps that breaks leave.
//!
//! One `XSource` owns one connection. It reads the stream, puts posts into the queue, and only then moves its cursor. A
//! break of a connection that had lasted is followed by a reconnection at once; after it, the posts of the gap are searched for while the stream runs
//! again. What X says about pace is obeyed: three separate ladders of delays ([`backoff`]), the headers of its rate
//! limits, and a watchdog, because a quiet stream still sends a blank line every 20 seconds.

pub mod api;
pub mod backoff;
mod cursor;
mod gap;
mod lines;
mod rules;
pub mod status;

use crate::error::Result;
use crate::hand_over;
use crate::record::x::{Message, StreamError, parse_message};
use crate::record::{Origin, Parsed};
use api::{Api, ApiError, Stream};
use backoff::{Ladder, Ladders};
use cursor::Cursor;
use domain::{Clock, PostQueue, Provenance, SourceId, StateStore, Topic};
use lines::Lines;
use secrecy::SecretString;
use status::{SharedStatus, State};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use api::Check;
pub use status::XStatus;

/// Where X is and how patient we are.
#[derive(Debug, Clone)]
pub struct XConfig {
    pub source: SourceId,
    /// Without a slash at its end.
    pub base_url: String,
    /// Read-only application token; never logged.
    pub bearer_token: SecretString,
    /// Silence after which the connection counts as dead. X sends something every 20 s, at times a little late.
    pub keep_alive_timeout: Duration,
    pub ladders: Ladders,
    /// Rules that the plan allows.
    pub rules_max: usize,
    /// What X charges for a post read, in US dollars.
    pub cost_per_post_usd: f64,
    /// Asks for the author of each post along with it: place and followers come from there.
    pub expand_authors: bool,
    /// Searches for the posts of a break.
    pub fill_gaps: bool,
    /// X's search finds posts some seconds after the stream brought them: how long to wait before a gap is searched.
    pub gap_delay: Duration,
}

impl XConfig {
    /// The settings for X itself.
    pub fn new(bearer_token: SecretString) -> Self {
        Self {
            source: SourceId("x".into()),
            base_url: "https://api.x.com".into(),
            bearer_token,
            keep_alive_timeout: Duration::from_secs(30),
            ladders: Ladders::default(),
            rules_max: 1_000,
            cost_per_post_usd: 0.005,
            expand_authors: true,
            fill_gaps: true,
            gap_delay: Duration::from_secs(20),
        }
    }
}

/// The connector.
pub struct XSource {
    config: XConfig,
    api: Api,
    queue: Arc<dyn PostQueue>,
    state: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    topics: watch::Receiver<Vec<Topic>>,
    status: SharedStatus,
}

/// Why a connection ended.
enum Ended {
    Stopped,
    /// X closed it, the network broke it, or it fell silent.
    Broken(String),
    /// X said why, in the stream.
    Told(StreamError),
}

impl XSource {
    /// `topics`: what to listen for, now and whenever it changes.
    pub fn new(
        config: XConfig,
        queue: Arc<dyn PostQueue>,
        state: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        topics: watch::Receiver<Vec<Topic>>,
    ) -> Result<Self> {
        let api = Api::new(&config)?;
        let status = SharedStatus::new(config.cost_per_post_usd);
        Ok(Self { config, api, queue, state, clock, topics, status })
    }

    /// How it goes, for others to read while it runs.
    pub fn status(&self) -> SharedStatus {
        self.status.clone()
    }

    /// Whether X would let us in, without opening the stream.
    pub async fn check(config: &XConfig, clock: &dyn Clock) -> Result<Check> {
        Ok(Api::new(config)?.check(clock).await)
    }

    /// Listens until told to stop. Ends with an error only when our own queue or state fails.
    pub async fn run(mut self, shutdown: CancellationToken) -> domain::Result<()> {
        let cursor = Arc::new(Cursor::load(self.state.clone(), &self.config.source).await?);
        self.status.add_earlier(cursor.posts_read(), cursor.posts_billed());
        cursor.open_gap_since_last_post().await?;
        let connected = Arc::new(Notify::new());
        // Also set when listening fails by itself.
        let stop_filling = shutdown.child_token();
        let filling = self.config.fill_gaps.then(|| {
            let filler = gap::GapFiller {
                config: self.config.clone(),
                api: self.api.clone(),
                queue: self.queue.clone(),
                clock: self.clock.clone(),
                cursor: cursor.clone(),
                topics: self.topics.clone(),
                status: self.status.clone(),
                connected: connected.clone(),
                shutdown: stop_filling.clone(),
            };
            tokio::spawn(filler.run())
        });
        let ended = self.listen(&cursor, &connected, &shutdown).await;
        self.status.set_state(State::Stopped);
        if let Some(filling) = filling {
            stop_filling.cancel();
            if filling.await.is_err() {
                tracing::error!(source.id = %self.config.source, "the filling of gaps stopped unexpectedly");
            }
        }
        cursor.save().await?;
        ended
    }

    /// Connects again and again.
    async fn listen(
        &mut self,
        cursor: &Cursor,
        connected: &Notify,
        shutdown: &CancellationToken,
    ) -> domain::Result<()> {
        let mut ladder = Ladder::new(self.config.ladders);
        loop {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            self.status.set_state(State::Connecting);
            let delay = match self.connect().await {
                Ok(stream) => {
                    self.status.connected(self.clock.now());
                    cursor.stream_runs(self.clock.now(), Instant::now()).await?;
                    connected.notify_one();
                    let opened = Instant::now();
                    match self.read(stream, cursor, shutdown).await? {
                        Ended::Stopped => return Ok(()),
                        ended => {
                            cursor.open_gap_since_last_post().await?;
                            self.after_end(ended, opened.elapsed(), &mut ladder)
                        }
                    }
                }
                Err(error) => self.after_refusal(&error, &mut ladder),
            };
            self.status.set_state(State::Waiting { seconds: delay.as_secs_f64() });
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Rules first, so that the stream brings what is wanted from its first post on.
    async fn connect(&mut self) -> Result<Stream, ApiError> {
        let topics = self.topics.borrow_and_update().clone();
        rules::synchronise(&self.api, &topics, self.config.rules_max, &self.status).await?;
        self.api.open_stream().await
    }

    /// Reads one connection to its end.
    async fn read(
        &mut self,
        mut stream: Stream,
        cursor: &Cursor,
        shutdown: &CancellationToken,
    ) -> domain::Result<Ended> {
        let mut lines = Lines::default();
        loop {
            let chunk = tokio::select! {
                () = shutdown.cancelled() => return Ok(Ended::Stopped),
                changed = self.topics.changed() => {
                    if changed.is_err() {
                        return Ok(Ended::Stopped);
                    }
                    self.update_rules().await;
                    continue;
                }
                chunk = tokio::time::timeout(self.config.keep_alive_timeout, stream.chunk()) => chunk,
            };
            let chunk = match chunk {
                Err(_) => {
                    let words = format!("nothing came for {} s", self.config.keep_alive_timeout.as_secs());
                    return Ok(Ended::Broken(words));
                }
                Ok(Err(words)) => return Ok(Ended::Broken(words)),
                Ok(Ok(None)) => return Ok(Ended::Broken("X closed the connection".into())),
                Ok(Ok(Some(chunk))) => chunk,
            };
            self.status.heard(self.clock.now());
            let Ok(complete) = lines.feed(&chunk) else {
                return Ok(Ended::Broken("a line without end came".into()));
            };
            if let Some(error) = self.take(&complete, cursor).await? {
                return Ok(Ended::Told(error));
            }
        }
    }

    /// Stores what came in; an error that X told in the stream is given back.
    async fn take(&self, lines: &[Vec<u8>], cursor: &Cursor) -> domain::Result<Option<StreamError>> {
        let origin = Origin {
            source: self.config.source.clone(),
            platform: crate::record::x::PLATFORM.into(),
            provenance: Provenance::Stream,
            received_at: self.clock.now(),
        };
        let mut parsed = Parsed::default();
        let mut told = None;
        for line in lines {
            match std::str::from_utf8(line).map(|text| parse_message(text, &origin)) {
                Ok(Message::Records(more)) => {
                    parsed.records.extend(more.records);
                    parsed.rejections.extend(more.rejections);
                }
                Ok(Message::Malformed(rejection)) => parsed.rejections.push(rejection),
                Ok(Message::Error(error)) => told = Some(error),
                Ok(Message::Notice(keys)) => {
                    metrics::counter!("overheard_x_notices_total").increment(1);
                    tracing::debug!(source.id = %self.config.source, %keys, "message without a post");
                }
                Err(error) => {
                    let reason = format!("invalid UTF-8 at byte {}", error.valid_up_to());
                    parsed.rejections.push(crate::Rejection::new(reason, line));
                }
            }
        }
        store(&*self.queue, parsed, &origin, cursor, &self.status).await?;
        Ok(told)
    }

    async fn update_rules(&mut self) {
        let topics = self.topics.borrow_and_update().clone();
        if let Err(error) = rules::synchronise(&self.api, &topics, self.config.rules_max, &self.status).await {
            self.status.set_error(&error.words());
            tracing::warn!(source.id = %self.config.source, error = %error.words(), "rules could not be changed");
        }
    }

    /// `lasted`: how long the connection was open.
    fn after_end(&self, ended: Ended, lasted: Duration, ladder: &mut Ladder) -> Duration {
        let (words, delay) = match ended {
            Ended::Stopped => return Duration::ZERO,
            Ended::Broken(words) => (words, ladder.closed(lasted)),
            Ended::Told(error) => {
                let too_many = error.kind == "TooManyConnections" || error.title == "ConnectionException";
                let closed = ladder.closed(lasted);
                let delay = if too_many { ladder.rate(None) } else { closed };
                (api::words_of(&error), delay)
            }
        };
        metrics::counter!("overheard_x_disconnects_total").increment(1);
        tracing::warn!(source.id = %self.config.source, reason = %words, delay_ms = delay.as_millis(), "stream ended");
        self.status.set_error(&words);
        delay
    }

    fn after_refusal(&self, error: &ApiError, ladder: &mut Ladder) -> Duration {
        let delay = match error {
            ApiError::Network(_) => ladder.network(),
            ApiError::Rate { reset_at, .. } => ladder.rate(reset_at.map(|at| until(at, self.clock.now()))),
            ApiError::Refused { .. } | ApiError::Http { .. } => ladder.http(),
        };
        let words = error.words();
        tracing::warn!(source.id = %self.config.source, error = %words, delay_ms = delay.as_millis(), "no connection");
        self.status.set_error(&words);
        delay
    }
}

/// How long it is until a moment; a second more, because the other clock may be a little behind ours.
fn until(at: domain::Timestamp, now: domain::Timestamp) -> Duration {
    (at - now).to_std().unwrap_or_default() + Duration::from_secs(1)
}

/// Posts into the queue, then the cursor and the bill.
async fn store(
    queue: &dyn PostQueue,
    parsed: Parsed,
    origin: &Origin,
    cursor: &Cursor,
    status: &SharedStatus,
) -> domain::Result<()> {
    hand_over::reject_patiently(queue, origin, parsed.rejections).await?;
    if parsed.records.is_empty() {
        return Ok(());
    }
    let seen = cursor::Seen::of(&parsed.records);
    let counts = hand_over::append(queue, &origin.source, parsed.records).await?;
    let billed = counts.stored.min(seen.posts);
    cursor.moved(&seen, billed, origin.received_at).await?;
    status.read(seen.posts, billed, origin.received_at, origin.provenance == Provenance::Stream);
    metrics::counter!("overheard_x_posts_read_total").increment(seen.posts);
    metrics::counter!("overheard_x_posts_billed_total").increment(billed);
    Ok(())
}
