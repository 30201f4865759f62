//! The connector of X: the filtered stream of API v2, with its rules kept in step with our topics, and a search that
//! fills the gaps that breaks leave.
//!
//! One connection brings posts into the queue, and only then moves the cursor. After a break, the posts of the gap are
//! searched for while the stream runs again. Waits between tries follow X's documents and its rate limit headers
//! ([`crate::kit::backoff`]). A quiet stream still sends a blank line every 20 seconds, so silence is a broken
//! connection.

mod api;
mod config;
mod cursor;
mod gap;
pub mod payload;
pub mod query;
mod rules;
mod settings;
mod store;

pub use config::XConfig;
pub use settings::Settings;

use crate::connector::{self, Check, Connector, Context, Secrets};
use crate::error::Result;
use crate::kit::failure::Failure;
use crate::kit::lines::Lines;
use crate::kit::status::State;
use crate::kit::stream::{self, Ended, Limits, Streaming, Taken};
use crate::record::{Format, Parsed, Rejection};
use api::Api;
use async_trait::async_trait;
use cursor::Cursor;
use domain::{Clock, Provenance};
use payload::{Message, parse_message};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The connector.
pub struct X {
    config: XConfig,
    api: Api,
}

impl X {
    pub fn new(config: XConfig) -> Result<Self> {
        let api = Api::new(&config)?;
        Ok(Self { config, api })
    }
}

#[async_trait]
impl Connector for X {
    async fn check(&self, clock: &dyn Clock) -> Check {
        self.api.check(clock).await
    }

    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()> {
        let cursor = Arc::new(Cursor::load(context.state.clone(), &context.source).await?);
        let (read, billed) = cursor.read_at_start();
        context.status.set_cost(self.config.cost_per_post_usd, read, billed);
        cursor.open_gap_since_last_post().await?;
        cursor.begin(context.clock.now()).await?;
        let connected = Arc::new(Notify::new());
        // Also set when listening fails by itself.
        let stop_filling = shutdown.child_token();
        let filling = self.config.fill_gaps.then(|| {
            let filler = gap::GapFiller {
                config: self.config.clone(),
                api: self.api.clone(),
                context: context.clone(),
                cursor: cursor.clone(),
                connected: connected.clone(),
                shutdown: stop_filling.clone(),
            };
            tokio::spawn(filler.run())
        });
        let limits = Limits { silence_max: self.config.keep_alive_timeout, backoff: self.config.backoff };
        let mut listener = Listener { x: *self, context: context.clone(), cursor: cursor.clone(), connected };
        let ended = stream::run(&mut listener, &context, limits, &shutdown).await;
        context.status.set_state(State::Stopped);
        if let Some(filling) = filling {
            stop_filling.cancel();
            if filling.await.is_err() {
                tracing::error!(source.id = %context.source, "the filling of gaps stopped unexpectedly");
            }
        }
        cursor.save().await?;
        ended
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "X";
    const ABOUT: &str = "Posts on X that match your topics. Needs a bearer token of an app whose plan has the filtered stream; \
        X charges for each post.";
    const IS_CHARGED: bool = true;
    const FORMATS: &[Format] = &[payload::FORMAT];

    fn check(&self) -> Result<()> {
        Api::new(&self.config(SecretString::default())).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![payload::PLATFORM.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        Ok(Box::new(X::new(self.config(secrets(&self.token_env, &self.token_file)?))?))
    }
}

/// Reads the stream.
struct Listener {
    x: X,
    context: Context,
    cursor: Arc<Cursor>,
    /// Wakes the filler of gaps.
    connected: Arc<Notify>,
}

/// An open stream, with the beginning of a line that has not ended yet.
struct Connection {
    stream: api::Stream,
    lines: Lines,
}

#[async_trait]
impl Streaming for Listener {
    type Connection = Connection;
    type Event = Vec<u8>;

    /// Rules first, so that the stream brings what is wanted from its first post on.
    async fn connect(&mut self) -> Result<Connection, Failure> {
        self.synchronise().await?;
        Ok(Connection { stream: self.x.api.open_stream().await?, lines: Lines::default() })
    }

    async fn next(&self, connection: &mut Connection) -> Result<Vec<u8>, Ended> {
        match connection.stream.chunk().await {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => Err(Ended::broken("X closed the connection")),
            Err(message) => Err(Ended::broken(message)),
        }
    }

    async fn take(&mut self, connection: &mut Connection, chunk: Vec<u8>) -> domain::Result<Taken> {
        match connection.lines.feed(&chunk) {
            Ok(complete) => self.store(&complete).await,
            Err(_) => Ok(Taken::Ended(Ended::broken("a line without end came"))),
        }
    }

    async fn opened(&mut self) -> domain::Result<()> {
        self.cursor.connected(Instant::now()).await?;
        self.connected.notify_one();
        Ok(())
    }

    async fn closed(&mut self) -> domain::Result<()> {
        metrics::counter!("overheard_x_disconnects_total").increment(1);
        self.cursor.open_gap_since_last_post().await
    }

    async fn topics_changed(&mut self) {
        if let Err(failure) = self.synchronise().await {
            let message = failure.message();
            tracing::warn!(source.id = %self.context.source, error = message, "rules could not be changed");
            self.context.status.set_error(&message);
        }
    }
}

impl Listener {
    async fn synchronise(&self) -> Result<(), Failure> {
        let topics = self.context.topics.borrow().clone();
        rules::synchronise(&self.x.api, &topics, self.x.config.rules_max, &self.context.status).await
    }

    /// Stores the posts of these lines; an error that X sent among them ends the connection.
    async fn store(&self, lines: &[Vec<u8>]) -> domain::Result<Taken> {
        let origin = self.context.origin(payload::PLATFORM, Provenance::Stream);
        let mut parsed = Parsed::default();
        let mut taken = Taken::GoOn;
        for line in lines {
            match std::str::from_utf8(line).map(|text| parse_message(text, &origin)) {
                Ok(Message::Records(more)) => {
                    parsed.records.extend(more.records);
                    parsed.rejections.extend(more.rejections);
                }
                Ok(Message::Malformed(rejection)) => parsed.rejections.push(rejection),
                Ok(Message::Error(error)) => taken = Taken::Ended(api::ended_by(&error)),
                Ok(Message::Notice(keys)) => {
                    metrics::counter!("overheard_x_notices_total").increment(1);
                    tracing::debug!(source.id = %self.context.source, %keys, "message without a post");
                }
                Err(error) => {
                    let reason = format!("invalid UTF-8 at byte {}", error.valid_up_to());
                    parsed.rejections.push(Rejection::new(reason, line));
                }
            }
        }
        store::store(&self.context, parsed, &origin, &self.cursor).await?;
        Ok(taken)
    }
}
