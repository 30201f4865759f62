//! What the connector works with.

use super::selection::Selection;
use crate::kit::backoff::BackoffPolicy;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// An instance, what is read of it, and how patient we are.
#[derive(Debug, Clone)]
pub struct MastodonConfig {
    pub url: Url,
    pub tags: Vec<String>,
    pub public: bool,
    pub token: Option<SecretString>,
    /// Time between two requests of one timeline.
    pub interval: Duration,
    /// Silence after which a stream counts as dead. Mastodon sends something every 15 s.
    pub silence_max: Duration,
    pub request_timeout: Duration,
    /// Waits of the timelines after failures.
    pub backoff: BackoffPolicy,
    /// Waits of the streams.
    pub stream_backoff: BackoffPolicy,
}

impl MastodonConfig {
    /// The usual patience with an instance, and nothing selected.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            tags: Vec::new(),
            public: false,
            token: None,
            interval: Duration::from_secs(60),
            silence_max: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            backoff: BackoffPolicy::for_polling(),
            stream_backoff: BackoffPolicy::default(),
        }
    }

    pub(super) fn selections(&self) -> impl Iterator<Item = Selection> {
        let public = self.public.then_some(Selection::Public);
        self.tags.iter().cloned().map(Selection::Tag).chain(public)
    }
}
