//! Settings of the server, checked by the binary before they come here.

use crate::auth::{ForwardedHeader, RoleGroups, SignInLink};
use crate::tls::TlsFiles;
use domain::Network;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the server listens and what it lets through. Every limit has a reason beside it; `docs/limits.md` says what happens
/// at each.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Loopback by default: reaching further is the user's decision.
    pub bind: SocketAddr,
    /// Origin by which people reach the server (`https://overheard.example.org`), in lower case; none: by `bind`. With
    /// https, cookies are `Secure` and browsers are told to come by https alone.
    pub public_origin: Option<String>,
    /// The certificate by which the server speaks HTTPS itself; none: it speaks HTTP.
    pub tls: Option<TlsFiles>,
    /// Other origins whose pages may write with a session.
    pub origins: Vec<String>,
    /// Names besides those of the origins, of this machine (`localhost`) and addresses that the server answers to.
    pub allowed_hosts: Vec<String>,
    /// Proxies that are believed about who asks.
    pub trusted_proxies: Vec<Network>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Days that the audit log is kept.
    pub audit_days: u32,
    /// A session ends this long after sign-in.
    pub session_age_max: Duration,
    /// Groups of the identity provider, by role.
    pub groups: RoleGroups,
    /// A link that signs in once.
    pub sign_in_link: Option<SignInLink>,
    /// Who reads `/metrics` sends this as a bearer token; None: anybody may.
    pub metrics_token: Option<String>,
    /// Open connections: each holds a file and some kilobytes.
    pub connections_max: usize,
    /// The head of a request comes within this time; also how long a connection may lie idle.
    pub header_timeout: Duration,
    /// The body of a request comes within this time.
    pub body_timeout: Duration,
    /// A client that takes nothing of an answer for so long is disconnected.
    pub write_timeout: Duration,
    /// Request bodies that are held at one time, bytes together.
    pub bodies_max_bytes: usize,
    /// Largest body of an API call, bytes: rules and queries are small.
    pub body_max_bytes: usize,
    /// Largest body of one push, bytes: 1,000 posts with their payloads.
    pub push_max_bytes: usize,
    /// Largest file that a person drops on the page, bytes. It is written to the disk as it comes.
    pub import_max_bytes: u64,
    /// Rows of a SQL answer: what a browser shows without trouble.
    pub sql_rows_max: usize,
    /// A SQL question of a person may run so long.
    pub sql_timeout: Duration,
    /// An export may take so long. Files that the lake has replaced are kept for an hour for those who still read them.
    pub export_timeout: Duration,
    /// Exports at one time.
    pub exports_at_once: usize,
    /// Platforms of whose posts an export holds the id and what was understood, not their words.
    pub export_ids_only: Vec<String>,
    /// Questions of pages to the lake at one time: more would only wait for the same cores.
    pub questions_at_once: usize,
    /// Open live streams: each holds a connection and a buffer.
    pub streams_max: usize,
    /// Open live streams of one user or token.
    pub streams_per_user_max: usize,
    /// An answer may be this old though the lake has moved on: bounds the work that many open dashboards cause.
    pub answer_age_max: Duration,
    /// Answers kept for others who ask the same, bytes together.
    pub answers_max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            public_origin: None,
            tls: None,
            origins: Vec::new(),
            allowed_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            audit_days: 365,
            session_age_max: Duration::from_secs(7 * 24 * 3600),
            groups: RoleGroups::default(),
            sign_in_link: None,
            metrics_token: None,
            connections_max: 1_024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            bodies_max_bytes: 64 << 20,
            body_max_bytes: 256 << 10,
            push_max_bytes: 16 << 20,
            import_max_bytes: 512 << 20,
            sql_rows_max: 10_000,
            sql_timeout: Duration::from_secs(30),
            export_timeout: Duration::from_secs(1_800),
            exports_at_once: 2,
            export_ids_only: domain::platform::export_ids_only(),
            questions_at_once: 4,
            streams_max: 256,
            streams_per_user_max: 16,
            answer_age_max: Duration::from_millis(1000),
            answers_max_bytes: 64 << 20,
        }
    }
}

impl Config {
    /// Whether people reach the server by https alone.
    /// The address by which people reach the server, without a slash at its end.
    pub(crate) fn address(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.public_origin.clone().unwrap_or_else(|| format!("{scheme}://{}", self.bind))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.tls.is_some() || self.public_origin.as_deref().is_some_and(|origin| origin.starts_with("https://"))
    }

    /// The cookie of this name. On https the prefix has browsers see to it that no other host and no plain http sets it.
    pub(crate) fn cookie(&self, name: &'static str) -> Cow<'static, str> {
        if self.is_https() { format!("__Host-{name}").into() } else { name.into() }
    }
}
