//! Where X is and how patient we are.

use crate::kit::backoff::BackoffPolicy;
use secrecy::SecretString;
use std::time::Duration;

/// Settings of the connector.
#[derive(Debug, Clone)]
pub struct XConfig {
    /// Without a slash at its end.
    pub base_url: String,
    /// Read-only application token; never logged.
    pub bearer_token: SecretString,
    /// Silence after which the connection counts as dead. X sends something every 20 s, at times a little late.
    pub keep_alive_timeout: Duration,
    /// For a whole request, and for the headers of the stream.
    pub request_timeout: Duration,
    pub backoff: BackoffPolicy,
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
            base_url: "https://api.x.com".into(),
            bearer_token,
            keep_alive_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            backoff: BackoffPolicy::default(),
            rules_max: 1_000,
            cost_per_post_usd: 0.005,
            expand_authors: true,
            fill_gaps: true,
            gap_delay: Duration::from_secs(20),
        }
    }
}
