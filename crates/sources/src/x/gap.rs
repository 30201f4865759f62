//! The posts of a break, by X's recent search: seven days back, a hundred a page, once the stream runs again. What the
//! stream brought already is dropped by the queue, and X charges a post once a day.

use super::api::{Api, ApiError};
use super::backoff::Ladder;
use super::cursor::{Cursor, NextGap};
use super::status::SharedStatus;
use super::{XConfig, rules, store, until};
use crate::record::x::{Message, parse_message};
use crate::record::{Origin, Parsed};
use chrono::TimeDelta;
use domain::{Clock, PostQueue, Provenance, Topic};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Longest query of the search, in characters.
const QUERY_MAX_CHARS: usize = 512;
/// How far back the search goes, with a margin of a minute.
const DAYS_BACK: TimeDelta = TimeDelta::minutes(7 * 24 * 60 - 1);

/// Waits for connections and fills what their breaks left.
pub(super) struct GapFiller {
    pub(super) config: XConfig,
    pub(super) api: Api,
    pub(super) queue: Arc<dyn PostQueue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cursor: Arc<Cursor>,
    pub(super) topics: watch::Receiver<Vec<Topic>>,
    pub(super) status: SharedStatus,
    /// The stream runs again.
    pub(super) connected: Arc<Notify>,
    /// Obeyed between pages: a page that came is stored and counted to its end.
    pub(super) shutdown: CancellationToken,
}

/// Why a gap was not filled.
enum Failure {
    Api(ApiError),
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
        let mut ladder = Ladder::new(self.config.ladders);
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
                    self.status.set_filling(false);
                    tokio::select! {
                        () = self.shutdown.cancelled() => return,
                        () = self.connected.notified() => continue,
                    }
                }
            };
            self.status.set_filling(true);
            let delay = match self.fill(since).await {
                Ok(()) => {
                    ladder.reset();
                    if let Err(error) = self.cursor.filled().await {
                        tracing::error!(source.id = %self.config.source, %error, "the cursor could not be written");
                        return;
                    }
                    continue;
                }
                Err(Failure::Port(error)) => {
                    tracing::error!(source.id = %self.config.source, %error, "posts of a gap could not be stored");
                    return;
                }
                Err(Failure::Stopped) => Duration::ZERO,
                Err(Failure::Api(error)) => self.delay(&error, &mut ladder),
            };
            self.cursor.give_gap_back().await;
            if !self.sleep(delay).await {
                return;
            }
        }
    }

    /// Waits; `false` when told to stop.
    async fn sleep(&self, delay: Duration) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = tokio::time::sleep(delay) => true,
        }
    }

    fn delay(&self, error: &ApiError, ladder: &mut Ladder) -> Duration {
        let words = format!("the search for a break's posts failed: {}", error.words());
        tracing::warn!(source.id = %self.config.source, error = %words, "gap not filled yet");
        self.status.set_error(&words);
        match error {
            ApiError::Network(_) => ladder.network(),
            ApiError::Rate { reset_at, .. } => ladder.rate(reset_at.map(|at| until(at, self.clock.now()))),
            ApiError::Refused { .. } | ApiError::Http { .. } => ladder.http(),
        }
    }

    /// Searches for every topic's posts since the id.
    async fn fill(&self, since_id: u64) -> Result<(), Failure> {
        let topics = self.topics.borrow().clone();
        for (query, _) in rules::wanted(&topics, QUERY_MAX_CHARS).rules {
            let since = since_id.to_string();
            match self.pages(&query, &[("since_id", &since)]).await {
                // The id is older than the search goes back: take what there is.
                Err(Failure::Api(ApiError::Http { status: 400, words })) if words.contains("since_id") => {
                    let start = (self.clock.now() - DAYS_BACK).format("%Y-%m-%dT%H:%M:%SZ").to_string();
                    self.pages(&query, &[("start_time", &start)]).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn pages(&self, query: &str, since: &[(&str, &str)]) -> Result<(), Failure> {
        let mut next: Option<String> = None;
        loop {
            let mut parameters = vec![("query", query)];
            parameters.extend_from_slice(since);
            parameters.extend(next.as_deref().map(|token| ("next_token", token)));
            let text = tokio::select! {
                () = self.shutdown.cancelled() => return Err(Failure::Stopped),
                text = self.api.search(&parameters) => text.map_err(Failure::Api)?,
            };
            let origin = Origin {
                source: self.config.source.clone(),
                platform: crate::record::x::PLATFORM.into(),
                provenance: Provenance::Search,
                received_at: self.clock.now(),
            };
            let mut parsed = Parsed::default();
            match parse_message(&text, &origin) {
                Message::Records(more) => parsed = more,
                Message::Malformed(rejection) => parsed.rejections.push(rejection),
                Message::Error(_) | Message::Notice(_) => {}
            }
            store(&*self.queue, parsed, &origin, &self.cursor, &self.status).await.map_err(Failure::Port)?;
            let page: Option<Page> = serde_json::from_str(&text).ok();
            next = page.and_then(|page| page.meta?.next_token);
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
