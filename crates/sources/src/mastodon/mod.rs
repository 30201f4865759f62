//! The connector of Mastodon: hashtags, or the public timeline, of one instance.
//!
//! Timelines are polled from the last post on (`min_id`), so a break leaves no gap; polls look back a little, for posts of
//! other instances that come late, except where the stream brings them. With a token the same timelines are streamed as well: posts come at once,
//! and edits and deletions are followed. A post has the same id on every instance, so one that several sources bring is
//! one post. The public timeline is large: what no topic wants of it is dropped.

mod api;
mod config;
mod events;
pub(crate) mod payload;
mod selection;
mod stream;
mod timeline;

pub use config::MastodonConfig;

use crate::connector::{self, Check, Connector, Context, Secrets};
use crate::error::{Error, Result};
use crate::kit::failure::Failure;
use crate::kit::http::web_address;
use crate::kit::poll::{self, Poll};
use crate::kit::stream::{Limits, run as stream_run};
use crate::record::Format;
use api::Api;
use async_trait::async_trait;
use domain::Clock;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use state::Cursor;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use timeline::{Polled, Timeline, Versions};
use tokio_util::sync::CancellationToken;

/// Settings of a source of the kind `mastodon`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of the instance.
    pub url: String,
    /// Hashtags, without `#`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Reads the public timeline too; what matches no topic is dropped.
    #[serde(default)]
    pub public: bool,
    /// Environment variable with an access token; without one, timelines are polled only.
    #[serde(default)]
    pub token_env: String,
    /// File with the access token.
    #[serde(default)]
    pub token_file: String,
    /// Seconds between two requests of one timeline, at least 15.
    #[serde(default = "a_minute")]
    pub interval_s: u64,
}

fn a_minute() -> u64 {
    60
}

impl Settings {
    fn config(&self, token: Option<SecretString>) -> Result<MastodonConfig> {
        let example = "https://mastodon.social";
        let url = web_address(&self.url)
            .ok_or_else(|| Error::Setting(format!("invalid url {:?} (expected e.g. {example})", self.url)))?;
        if self.interval_s < 15 {
            return Err(Error::Setting(format!("interval_s = {} is too short (at least 15)", self.interval_s)));
        }
        let tag = |tag: &String| tag.trim_start_matches('#').to_owned();
        let mut listed = HashSet::new();
        // A tag that is listed twice is read once: each has a cursor.
        let is_new = |tag: &String| !tag.is_empty() && listed.insert(tag.clone());
        let tags: Vec<String> = self.tags.iter().map(tag).filter(is_new).collect();
        if tags.is_empty() && !self.public {
            return Err(Error::Setting("nothing is selected: set tags, or public = true".into()));
        }
        let interval = Duration::from_secs(self.interval_s);
        Ok(MastodonConfig { tags, public: self.public, token, interval, ..MastodonConfig::new(url) })
    }
}

impl connector::Settings for Settings {
    const TITLE: &str = "Mastodon";
    const ABOUT: &str = "Hashtags, or the public timeline, of a Mastodon instance. A token brings posts at once, and edits \
        and deletions.";
    const FORMATS: &[Format] = &[payload::FORMAT];

    fn check(&self) -> Result<()> {
        self.config(None).map(drop)
    }

    fn platforms(&self) -> Vec<String> {
        vec![payload::PLATFORM.into()]
    }

    fn connector(&self, secrets: &Secrets<'_>) -> Result<Box<dyn Connector>> {
        let token = connector::optional_secret(secrets, &self.token_env, &self.token_file)?;
        Ok(Box::new(Mastodon::new(self.config(token)?)?))
    }
}

/// The connector.
pub struct Mastodon {
    config: MastodonConfig,
    api: Api,
}

impl Mastodon {
    pub fn new(config: MastodonConfig) -> Result<Self> {
        let api = Api::new(&config)?;
        Ok(Self { config, api })
    }
}

#[async_trait]
impl Connector for Mastodon {
    async fn check(&self, clock: &dyn Clock) -> Check {
        let mut posts = 0;
        for selection in self.config.selections() {
            match self.api.page(&selection, None, clock.now()).await {
                Ok(page) => posts += page.len(),
                Err(failure) => {
                    let refused = matches!(failure, Failure::Refused { .. } | Failure::Http { status: 422, .. });
                    let advice = match refused {
                        true => {
                            "the instance wants a token for this: create an application with the scope read:statuses \
                             in its preferences (Development), and set token_env"
                        }
                        false => "check the url, the network, the proxy and the firewall of this machine",
                    };
                    let summary = format!("{}: {}", selection.name(), failure.message());
                    return Check { ok: false, summary, advice: Some(advice.into()) };
                }
            }
        }
        let how =
            if self.config.token.is_some() { "polled and streamed" } else { "polled; without a token not streamed" };
        Check { ok: true, summary: format!("the instance answers with {posts} posts; {how}"), advice: None }
    }

    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()> {
        let versions = Arc::new(Versions::default());
        let mut polls: Vec<Box<dyn Poll>> = Vec::new();
        let mut streams = Vec::new();
        for selection in self.config.selections() {
            let key = format!("mastodon:{}:{}", context.source, selection.name());
            let cursor = Cursor::load(context.state.clone(), key).await?;
            let timeline = Timeline::new(selection, self.api.clone(), context.clone(), versions.clone());
            let is_streamed = self.config.token.is_some();
            if is_streamed {
                // Polls make good what a stream leaves out, so the source is connected without it.
                let status = context.status.of_part(format!("stream of {}", timeline.name()));
                let streaming = Context { status, ..context.clone() };
                streams.push((stream::Listener { timeline: timeline.clone() }, streaming));
            }
            polls.push(Box::new(Polled::new(timeline, cursor, self.config.interval, is_streamed)));
        }
        let limits = Limits { silence_max: self.config.silence_max, backoff: self.config.stream_backoff };
        let listening = streams.iter_mut().map(|(listener, context)| stream_run(listener, context, limits, &shutdown));
        let streams = futures::future::try_join_all(listening);
        let polls = poll::run(polls, &context, self.config.backoff, &shutdown);
        futures::future::try_join(polls, streams).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_listed_twice_is_read_once() {
        let settings = serde_json::json!({"url": "https://a.example", "tags": ["rain", "#rain", "", "snow"]});
        let settings: Settings = serde_json::from_value(settings).unwrap();
        assert_eq!(settings.config(None).unwrap().tags, ["rain", "snow"]);
    }
}
