//! A link that signs in without a password: once, for a few minutes, from this machine. Only `overheard demo` makes one.
//!
//! The secret is in the link's fragment, which browsers do not send and do not log; the page posts it. Requests that
//! passed a proxy are refused even if the proxy runs on this machine: whoever asked the proxy may be elsewhere.

use super::ClientAddress;
use axum::http::HeaderMap;
use chrono::TimeDelta;
use domain::{Network, Timestamp};
use state::{digest, new_secret};

/// How long a link can be used.
const AGE_MAX: TimeDelta = TimeDelta::minutes(10);
/// Headers that proxies add.
const OF_PROXIES: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// What the server knows about the link: it can't be made from this.
#[derive(Debug, Clone)]
pub struct SignInLink {
    user: String,
    digest: String,
    expires_at: Timestamp,
}

impl SignInLink {
    /// A link for a user, and the fragment that it ends with.
    pub fn new(user: &str, now: Timestamp) -> (Self, String) {
        let secret = new_secret();
        let link = Self { user: user.to_owned(), digest: digest(&secret), expires_at: now + AGE_MAX };
        (link, format!("#sign-in={secret}"))
    }

    /// The user that the secret signs in. `None`: another secret, or too late.
    pub(crate) fn user_of(&self, secret: &str, now: Timestamp) -> Option<&str> {
        (digest(secret) == self.digest && now < self.expires_at).then_some(self.user.as_str())
    }
}

/// Whether a request comes from this machine, without a proxy in between.
pub(crate) fn is_local(client: ClientAddress, headers: &HeaderMap, trusted_proxies: &[Network]) -> bool {
    client.0.is_loopback() && trusted_proxies.is_empty() && OF_PROXIES.iter().all(|name| !headers.contains_key(*name))
}
