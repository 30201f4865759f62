//! Settings of the server, checked by the binary before they come here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the server listens and what it lets through. Every limit has a reason beside it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Loopback by default: reaching further is the user's decision.
    pub bind: SocketAddr,
    /// Origins besides the request's own host that may write with a session, for a proxy that changes the host
    /// (`https://overheard.example.org`).
    pub origins: Vec<String>,
    /// Marks the session cookie `Secure`: to be set when people reach the server by https.
    pub cookie_secure: bool,
    /// A session ends this long after sign-in.
    pub session_age_max: Duration,
    /// Largest body of an API call, bytes: rules and queries are small.
    pub body_max_bytes: usize,
    /// Largest body of one push, bytes: 1,000 posts with their payloads.
    pub push_max_bytes: usize,
    /// Rows of a SQL answer: what a browser shows without trouble.
    pub sql_rows_max: usize,
    /// A SQL question of a person may run so long.
    pub sql_timeout: Duration,
    /// Rows of an export.
    pub export_rows_max: usize,
    /// Questions to the lake at one time: more would only wait for the same cores.
    pub questions_at_once: usize,
    /// Open live streams: each holds a connection and a buffer.
    pub streams_max: usize,
    /// An answer may be this old though the lake has moved on: bounds the work that many open dashboards cause.
    pub answer_age_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            origins: Vec::new(),
            cookie_secure: false,
            session_age_max: Duration::from_secs(7 * 24 * 3600),
            body_max_bytes: 256 * 1024,
            push_max_bytes: 16 * 1024 * 1024,
            sql_rows_max: 10_000,
            sql_timeout: Duration::from_secs(30),
            export_rows_max: 100_000,
            questions_at_once: 4,
            streams_max: 256,
            answer_age_max: Duration::from_millis(1000),
        }
    }
}
