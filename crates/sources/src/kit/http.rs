//! Requests to platforms and their answers: conditional, with redirects followed by hand, a limit on the size of answers,
//! and failures in words. A redirect never leads from a configured server into the network of this machine.

use super::failure::Failure;
use chrono::{DateTime, TimeDelta};
use domain::{AddressPolicy, Timestamp};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest answer that is read, decompressed; a page of any platform has well under a megabyte.
const ANSWER_MAX_BYTES: usize = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REDIRECTS_MAX: usize = 5;
/// How much is read of an error, and shown.
const REASON_MAX_BYTES: usize = 16 << 10;
const REASON_MAX_CHARS: usize = 200;
/// How programs introduce themselves.
pub(crate) const USER_AGENT: &str = concat!("overheard/", env!("CARGO_PKG_VERSION"));

/// What to do about an address that is not called.
const CONFIGURE_IT: &str = "if you trust that address, configure it as the source's own";

/// Makes requests that are repeated.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: Client,
    /// Sent with each request. They hold a secret, which must not travel to another server.
    headers: HeaderMap,
    /// For a whole request, so that a server that sends a byte a second is not waited for.
    timeout: Duration,
}

/// The cause at the bottom, which says more than "error sending request". Without the address, which may hold a query.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The body of an answer. `who`: the platform, for the message of a failure.
pub(crate) async fn read(mut answer: Response, who: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let limit = ANSWER_MAX_BYTES >> 20;
                return Err(lasting(200, format!("the answer of {who} is longer than {limit} MiB")));
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(Failure::Network(format!("the answer broke off: {}", innermost(&error)))),
        }
    }
}

/// What a server said of the version that we have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        Self { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) }
    }

    fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.etag {
            Some(etag) => request.header(header::IF_NONE_MATCH, etag),
            None => request,
        };
        match &self.last_modified {
            Some(date) => request.header(header::IF_MODIFIED_SINCE, date),
            None => request,
        }
    }
}

/// An answer to a conditional request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None`: not changed (304).
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) validators: Validators,
    /// The charset of the `Content-Type`.
    pub(crate) charset: Option<String>,
    /// For how long the server says that its answer is good.
    pub(crate) max_age: Option<Duration>,
    /// Where the thing has moved for good (301, 308).
    pub(crate) moved_to: Option<Url>,
}

impl Fetcher {
    pub(crate) fn new(timeout: Duration) -> crate::Result<Self> {
        Self::with_headers(timeout, HeaderMap::new())
    }

    /// Sends a bearer token with each request.
    pub(crate) fn with_token(timeout: Duration, token: &SecretString) -> crate::Result<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
            .map_err(|_| crate::Error::Setting("the token holds characters that no token has".into()))?;
        value.set_sensitive(true);
        Self::with_headers(timeout, HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    /// Sends these headers with each request. They hold secrets.
    pub(crate) fn with_headers(timeout: Duration, headers: HeaderMap) -> crate::Result<Self> {
        let client = builder(&headers)
            .build()
            .map_err(|error| crate::Error::Setting(format!("no connection can be made: {error}")))?;
        Ok(Self { client, headers, timeout })
    }

    /// The client for requests of other kinds to the configured server. It follows no redirects.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for what changed since the version of the validators. `configured`: the address that `url` was reached from.
    pub(crate) async fn get(
        &self,
        url: &Url,
        configured: &Url,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout(self.timeout, self.follow(url, configured, validators, now)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Network(format!("no whole answer within {} s", self.timeout.as_secs()))),
        }
    }

    /// The client for an address that the configured server named: one of its own, or of a public server.
    fn client_for(&self, url: &Url, configured: &Url) -> Result<Client, Failure> {
        if is_same_server(url, configured) {
            return Ok(self.client.clone());
        }
        let host = url.host_str().unwrap_or_default();
        if !AddressPolicy::default().allows_host(host) {
            let who = configured.host_str().unwrap_or_default();
            let message = format!("{who} leads to {host}, which is not a public address");
            return Err(Failure::Refused { message, advice: CONFIGURE_IT.into() });
        }
        let builder = builder(&self.headers).dns_resolver(Arc::new(PublicHost(host.to_owned())));
        builder.build().map_err(|error| Failure::Network(format!("no connection can be made: {error}")))
    }

    async fn follow(
        &self,
        url: &Url,
        configured: &Url,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        let who = url.host_str().unwrap_or("the server").to_owned();
        let mut at = url.clone();
        // Redirects for good count only from the first on: behind one for now, everything may change.
        let (mut moved_to, mut for_good) = (None, true);
        for _ in 0..=REDIRECTS_MAX {
            let client = self.client_for(&at, configured)?;
            let sent = validators.apply(client.get(at.clone())).send().await;
            let answer =
                sent.map_err(|error| Failure::Network(format!("{who} can't be reached: {}", innermost(&error))))?;
            let status = answer.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                for_good &= matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
                let to = target(&at, &answer).filter(|to| self.headers.is_empty() || to.origin() == at.origin());
                at = to.ok_or_else(|| misled(&at, &answer, &who, now))?;
                moved_to = for_good.then(|| at.clone()).or(moved_to);
                continue;
            }
            if status != StatusCode::NOT_MODIFIED && !status.is_success() {
                return Err(explained(answer, &who, now).await);
            }
            let max_age = max_age(answer.headers());
            if status == StatusCode::NOT_MODIFIED {
                return Ok(Answer { body: None, validators: validators.clone(), charset: None, max_age, moved_to });
            }
            let (validators, charset) = (Validators::of(answer.headers()), charset(answer.headers()));
            return Ok(Answer { body: Some(read(answer, &who).await?), validators, charset, max_age, moved_to });
        }
        Err(lasting(302, format!("{who} redirects more than {REDIRECTS_MAX} times")))
    }

    /// Sends a body to the configured server and returns the body of the answer.
    pub(crate) async fn post(
        &self,
        url: &Url,
        content_type: &'static str,
        body: String,
        now: Timestamp,
    ) -> Result<Vec<u8>, Failure> {
        let who = url.host_str().unwrap_or("the server");
        let asking = async {
            let request = self.client.post(url.clone()).header(header::CONTENT_TYPE, content_type);
            let sent = request.body(body).send().await;
            let answer =
                sent.map_err(|error| Failure::Network(format!("{who} can't be reached: {}", innermost(&error))))?;
            match answer.status().is_success() {
                true => read(answer, who).await,
                false => Err(explained(answer, who, now).await),
            }
        };
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Network(format!("no whole answer within {} s", self.timeout.as_secs()))),
        }
    }

    /// Opens an answer without end; only its headers must come in time. `configured`: the server that named the address.
    pub(crate) async fn open(&self, url: &Url, configured: &Url, now: Timestamp) -> Result<Response, Failure> {
        let who = url.host_str().unwrap_or("the server");
        // Compressed, a stream would sit in the decoder until a block is full.
        let request = self.client_for(url, configured)?.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        match tokio::time::timeout(self.timeout, request.send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(answer),
            Ok(Ok(answer)) => Err(failure(answer.status(), answer.headers(), who, now)),
            Ok(Err(error)) => Err(Failure::Network(format!("{who} can't be reached: {}", innermost(&error)))),
            Err(_) => Err(Failure::Network(format!("{who} did not answer in time"))),
        }
    }
}

fn builder(headers: &HeaderMap) -> ClientBuilder {
    // Redirects are followed here: where something moved for good is remembered.
    let builder = Client::builder().user_agent(USER_AGENT).connect_timeout(CONNECT_TIMEOUT).redirect(Policy::none());
    builder.default_headers(headers.clone())
}

/// The same host at the same port, or at that of HTTPS.
fn is_same_server(url: &Url, configured: &Url) -> bool {
    let port = url.port_or_known_default();
    url.host() == configured.host() && (port == configured.port_or_known_default() || port == Some(443))
}

/// Resolves this host to public addresses only. Other names are those of a proxy, which is configured.
#[derive(Debug)]
struct PublicHost(String);

impl Resolve for PublicHost {
    fn resolve(&self, name: Name) -> Resolving {
        let is_guarded = name.as_str() == self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let policy = AddressPolicy { internal: !is_guarded };
            let allowed: Vec<SocketAddr> = found.filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("{} is not a public address; {CONFIGURE_IT}", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// An address of the web. One of these schemes always has a host.
pub(crate) fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_web)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn target(from: &Url, answer: &Response) -> Option<Url> {
    from.join(answer.headers().get(header::LOCATION)?.to_str().ok()?).ok().filter(is_web)
}

/// A redirect that is not followed.
fn misled(from: &Url, answer: &Response, who: &str, now: Timestamp) -> Failure {
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    match location.and_then(|to| from.join(to).ok()).filter(|to| !is_web(to)) {
        Some(to) => lasting(
            answer.status().as_u16(),
            format!("{who} leads to an address of {}:, which is not asked", to.scheme()),
        ),
        None => failure(answer.status(), answer.headers(), who, now),
    }
}

/// An answer that stays useless for some time.
fn lasting(status: u16, message: String) -> Failure {
    Failure::Http { status, message, retry_at: None }
}

/// A status that is no success.
pub(crate) fn failure(status: StatusCode, headers: &HeaderMap, who: &str, now: Timestamp) -> Failure {
    let reason = status.canonical_reason().unwrap_or("no reason given");
    let message = format!("{who} answers with status {}: {reason}", status.as_u16());
    let retry_at = retry_at(headers, now).or_else(|| reset_at(headers));
    let is_limit = matches!(status, StatusCode::FORBIDDEN) && retry_at.is_some();
    match status {
        // GitHub also refuses by 403 when there were too many requests.
        _ if is_limit => Failure::Rate { message: format!("{who} asks us to slow down"), retry_at },
        StatusCode::TOO_MANY_REQUESTS => Failure::Rate { message: format!("{who} asks us to slow down"), retry_at },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::Refused { message, advice: "check the address and what the server demands of programs".into() }
        }
        _ => Failure::Http { status: status.as_u16(), message, retry_at },
    }
}

/// The same with the reason that the platform gives in its answer.
async fn explained(mut answer: Response, who: &str, now: Timestamp) -> Failure {
    let mut failure = failure(answer.status(), answer.headers(), who, now);
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > REASON_MAX_BYTES {
            return failure;
        }
    }
    if let Some(reason) = reason(&body) {
        failure.answer_mut().push_str(&format!(" ({reason})"));
    }
    failure
}

/// The reason in the JSON of an error, in the forms that platforms use.
fn reason(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let paths = ["/error_name", "/error/errors/0/reason", "/error_message", "/error/message", "/message", "/errors/0"];
    let texts: Vec<&str> = paths.iter().filter_map(|path| body.pointer(path)?.as_str()).collect();
    let text: String = texts.join(": ").chars().filter(|c| !c.is_control()).take(REASON_MAX_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

/// `Retry-After`, in seconds or as a date.
fn retry_at(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<i64>() {
        Ok(seconds) => now.checked_add_signed(TimeDelta::try_seconds(seconds)?),
        Err(_) => DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc()),
    }
}

/// When requests count anew, if none is left: GitHub's headers.
fn reset_at(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name| headers.get(name)?.to_str().ok();
    text("x-ratelimit-remaining").filter(|left| *left == "0")?;
    DateTime::from_timestamp(text("x-ratelimit-reset")?.parse().ok()?, 0)
}

/// `charset` of the `Content-Type`.
fn charset(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let charset = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="))?;
    Some(charset.trim_matches(['"', '\'', ' ']).to_owned())
}

/// `Cache-Control: max-age`.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::CACHE_CONTROL)?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_asked() {
        let host = |text| web_address(text).and_then(|url| url.host_str().map(str::to_owned));
        assert_eq!(host("https://a.example/feed").as_deref(), Some("a.example"));
        for text in ["a.example", "ftp://a.example/feed", "file:///etc/passwd", "https://", "data:,x"] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_configured_server_may_be_an_internal_one() {
        let fetcher = Fetcher::new(Duration::from_secs(5)).unwrap();
        let asks = |url: &str, configured: &str| {
            fetcher.client_for(&url.parse().unwrap(), &configured.parse().unwrap()).is_ok()
        };
        assert!(asks("http://10.0.0.5/feed/", "http://10.0.0.5/feed"));
        assert!(asks("https://10.0.0.5/feed", "http://10.0.0.5/feed"));
        assert!(asks("https://b.example/feed", "https://a.example/feed"));
        for to in ["http://10.0.0.5:6379/", "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://0x7f.1/"]
        {
            assert!(!asks(to, "https://a.example/feed") && !asks(to, "http://10.0.0.5/feed"), "{to}");
        }
    }

    #[tokio::test]
    async fn a_name_of_an_internal_address_is_not_called() {
        let resolve = |guarded: &str| PublicHost(guarded.into()).resolve("localhost".parse().unwrap());
        assert!(resolve("localhost").await.is_err());
        assert!(resolve("a.example").await.is_ok(), "a proxy");
    }

    #[test]
    fn the_reason_of_an_error_is_found() {
        let found = |body: &str| reason(body.as_bytes());
        assert_eq!(
            found(r#"{"error_id":502,"error_name":"throttle_violation","error_message":"too many\n requests"}"#)
                .as_deref(),
            Some("throttle_violation: too many requests")
        );
        let google = r#"{"error":{"code":403,"message":"Used up","errors":[{"reason":"quotaExceeded"}]}}"#;
        assert_eq!(found(google).as_deref(), Some("quotaExceeded: Used up"));
        assert_eq!(found(r#"{"message":"Not Found"}"#).as_deref(), Some("Not Found"));
        assert_eq!(found(r#"{"errors":["Sign in."]}"#).as_deref(), Some("Sign in."));
        assert_eq!((found("<html>"), found("{}"), found(r#"{"message":7}"#)), (None, None, None));
    }

    #[test]
    fn waits_are_read_from_headers() {
        let now = DateTime::from_timestamp(1_793_534_400, 0).unwrap();
        let headers = |name: header::HeaderName, value: &str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        let retry = |value| retry_at(&headers(header::RETRY_AFTER, value), now).map(|at| (at - now).num_seconds());
        assert_eq!(retry("120"), Some(120));
        assert_eq!(retry("Sun, 01 Nov 2026 12:01:00 GMT"), Some(60));
        assert_eq!((retry("soon"), retry("99999999999999999999")), (None, None));
        let none_left = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1793534500")];
        let limits = none_left.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let refused = failure(StatusCode::FORBIDDEN, &HeaderMap::from_iter(limits), "a.example", now);
        assert!(matches!(refused, Failure::Rate { retry_at: Some(at), .. } if (at - now).num_seconds() == 100));
        let age = |value| max_age(&headers(header::CACHE_CONTROL, value)).map(|age| age.as_secs());
        assert_eq!(age("public, max-age=300"), Some(300));
        let charset = |value| charset(&headers(header::CONTENT_TYPE, value));
        assert_eq!(charset("text/xml; Charset=\"ISO-8859-1\"").as_deref(), Some("iso-8859-1"));
        assert_eq!(charset("text/xml"), None);
        assert_eq!((age("no-cache"), age("max-age=x")), (None, None));
    }
}
