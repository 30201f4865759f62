//! The posts of a break, by X's recent search: seven days back, a hundred a page, once the stream runs again. What the
//! stream brought already is dropped by the queue, and X charges a post once a day.

use super::api::Api;
use super::config::XConfig;
use super::cursor::Cursor;
use super::payload::{Message, PLATFORM, parse_message};
use super::{rules, store};
use crate::connector::Context;
use crate::kit::backoff::Backoff;
use crate::kit::failure::Failure;
use crate::kit::gaps::NextGap;
use crate::kit::stop;
use crate::record::Parsed;
use chrono::TimeDelta;
use domain::Provenance;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longest query of the search, in characters.
const QUERY_MAX_CHARS: usize = 512;
/// How far back the search goes, with a margin of a minute.
const DAYS_BACK: TimeDelta = TimeDelta::minutes(7 * 24 * 60 - 1);

/// Waits for connections and fills what their breaks left.
pub(super) struct GapFiller {
    pub(super) config: XConfig,
    pub(super) api: Api,
    pub(super) context: Context,
    pub(super) cursor: Arc<Cursor>,
    /// The stream is connected again.
    pub(super) connected: Arc<Notify>,
    pub(super) shutdown: CancellationToken,
}

/// Why a gap was not filled.
enum Unfilled {
    Platform(Failure),
    /// Our queue or state: the listener meets the same error and ends with it.
    Port(domain::Error),
    Stopped,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    next_token: Option<String>,
}

impl GapFiller {
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(self.config.backoff);
        loop {
            let since = match self.cursor.take_gap(self.config.gap_delay, Instant::now()).await {
                NextGap::Since(since) => since,
                NextGap::In(delay) => {
                    if !self.sleep(delay).await {
                        return;
                    }
                    continue;
                }
                NextGap::None => {
                    self.context.status.set_filling(false);
                    tokio::select! {
                        () = self.shutdown.cancelled() => return,
                        () = self.connected.notified() => continue,
                    }
                }
            };
            self.context.status.set_filling(true);
            let delay = match self.fill(since).await {
                Ok(()) => {
                    backoff.reset();
                    if let Err(error) = self.cursor.filled().await {
                        tracing::error!(source.id = %self.context.source, %error, "the cursor could not be written");
                        return;
                    }
                    continue;
                }
                Err(Unfilled::Port(error)) => {
                    tracing::error!(source.id = %self.context.source, %error, "posts of a gap could not be stored");
                    return;
                }
                Err(Unfilled::Stopped) => Duration::ZERO,
                Err(Unfilled::Platform(failure)) => self.delay(&failure, &mut backoff),
            };
            self.cursor.give_gap_back().await;
            if !self.sleep(delay).await {
                return;
            }
        }
    }

    /// Waits; `false` when told to stop.
    async fn sleep(&self, delay: Duration) -> bool {
        stop::unless_stopped(tokio::time::sleep(delay), &self.shutdown).await.is_some()
    }

    fn delay(&self, failure: &Failure, backoff: &mut Backoff) -> Duration {
        let message = format!("the search for a break's posts failed: {}", failure.message());
        tracing::warn!(source.id = %self.context.source, error = message, "gap not filled yet");
        self.context.status.set_error(&message);
        backoff.after(failure, self.context.clock.now())
    }

    /// Searches for every topic's posts since the id.
    async fn fill(&self, since_id: u64) -> Result<(), Unfilled> {
        let topics = self.context.topics.borrow().clone();
        for (query, _) in rules::wanted(&topics, QUERY_MAX_CHARS).rules {
            let since = since_id.to_string();
            match self.pages(&query, &[("since_id", &since)]).await {
                // The id is older than the search goes back: take what there is.
                Err(Unfilled::Platform(Failure::Http { status: 400, message, .. })) if message.contains("since_id") => {
                    let start = (self.context.clock.now() - DAYS_BACK).format("%Y-%m-%dT%H:%M:%SZ").to_string();
                    self.pages(&query, &[("start_time", &start)]).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn pages(&self, query: &str, since: &[(&str, &str)]) -> Result<(), Unfilled> {
        let mut next: Option<String> = None;
        loop {
            let mut parameters = vec![("query", query)];
            parameters.extend_from_slice(since);
            parameters.extend(next.as_deref().map(|token| ("next_token", token)));
            let answer = stop::unless_stopped(self.api.search(&parameters), &self.shutdown).await;
            let text = answer.ok_or(Unfilled::Stopped)?.map_err(Unfilled::Platform)?;
            let origin = self.context.origin(PLATFORM, Provenance::Search);
            let mut parsed = Parsed::default();
            match parse_message(&text, &origin) {
                Message::Records(more) => parsed = more,
                Message::Malformed(rejection) => parsed.rejections.push(rejection),
                Message::Error(_) | Message::Notice(_) => {}
            }
            let storing = store::store(&self.context, parsed, &origin, &self.cursor);
            stop::finish(storing, &self.shutdown).await.ok_or(Unfilled::Stopped)?.map_err(Unfilled::Port)?;
            let page: Option<Page> = serde_json::from_str(&text).ok();
            next = page.and_then(|page| page.meta?.next_token);
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
