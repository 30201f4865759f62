//! The requests to an instance.

use super::config::MastodonConfig;
use super::selection::Selection;
use crate::error::Result;
use crate::kit::failure::Failure;
use crate::kit::http::{Fetcher, Validators};
use domain::Timestamp;
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

/// Posts of one page: the most that Mastodon gives.
pub(super) const PAGE: usize = 40;

/// An instance, with our token.
#[derive(Debug, Clone)]
pub(super) struct Api {
    fetcher: Fetcher,
    base: Url,
}

#[derive(Deserialize)]
struct Instance {
    configuration: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    urls: Urls,
}

#[derive(Deserialize)]
struct Urls {
    streaming: Url,
}

impl Api {
    pub(super) fn new(config: &MastodonConfig) -> Result<Self> {
        let fetcher = match &config.token {
            Some(token) => Fetcher::with_token(config.request_timeout, token)?,
            None => Fetcher::new(config.request_timeout)?,
        };
        Ok(Self { fetcher, base: config.url.clone() })
    }

    /// The instance's host.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// A page of a timeline, the newest first: the oldest posts after an id, or the newest of all.
    pub(super) async fn page(
        &self,
        selection: &Selection,
        min_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Box<RawValue>>, Failure> {
        let mut url = self.base.clone();
        url.set_path(&format!("/api/v1/timelines/{}", selection.path()));
        url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
        if let Some(id) = min_id {
            url.query_pairs_mut().append_pair("min_id", id);
        }
        self.json(&url, now).await
    }

    /// Opens the stream of a timeline.
    pub(super) async fn stream(&self, selection: &Selection, now: Timestamp) -> Result<Response, Failure> {
        let mut about = self.base.clone();
        about.set_path("/api/v2/instance");
        let instance: Instance = self.json(&about, now).await?;
        let mut url = instance.configuration.urls.streaming;
        // The token never travels in the open where the instance itself is asked over an encrypted connection.
        let is_open = self.base.scheme() == "http" && matches!(url.scheme(), "ws" | "http");
        let scheme = if is_open { "http" } else { "https" };
        // `wss` to `https` is a change that the type allows only by text.
        url = Url::parse(&url.as_str().replacen(url.scheme(), scheme, 1)).map_err(|error| unreadable(&error))?;
        match selection {
            Selection::Tag(tag) => {
                url.set_path("/api/v1/streaming/hashtag");
                url.query_pairs_mut().append_pair("tag", tag);
            }
            Selection::Public => url.set_path("/api/v1/streaming/public"),
        }
        self.fetcher.open(&url, &self.base, now).await
    }

    async fn json<T: for<'de> Deserialize<'de>>(&self, url: &Url, now: Timestamp) -> Result<T, Failure> {
        let answer = self.fetcher.get(url, &self.base, &Validators::default(), now).await?;
        serde_json::from_slice(&answer.body.unwrap_or_default()).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Http { status: 200, message: format!("the answer can't be read: {error}"), retry_at: None }
}
