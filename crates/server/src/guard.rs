//! What guards and measures every answer: its id, security headers, the names that this server goes by, and the check
//! that a write with a session comes from our own page.

use crate::app::App;
use crate::auth::{self, SESSION_COOKIE};
use crate::config::Config;
use crate::error::Error;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

/// Scripts, styles and connections from ourselves only; no inline script, no frame around us. Images may be `data:`,
/// which the charts' own decorations use.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Name of the header that carries the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id, which its log lines and its answer carry, and measures it. Paths and queries are not logged:
/// they may hold names and words that people look for.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = Uuid::new_v4().simple().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    let mut response = next.run(request).instrument(span).await;
    let class = format!("{}xx", response.status().as_u16() / 100);
    metrics::counter!("overheard_http_requests_total", "status" => class).increment(1);
    metrics::histogram!("overheard_http_request_seconds").record(began.elapsed().as_secs_f64());
    response.headers_mut().extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    response
}

/// Adds the headers that keep browsers from doing what we did not mean.
pub(crate) async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "geolocation=(), camera=(), microphone=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.config.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Answers only to names that this server goes by: a page of another site whose name was made to lead here (DNS
/// rebinding) reads nothing. Programs with a token are no such page; the probe of a load balancer learns nothing.
pub(crate) async fn own_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let host = host(&request);
    let open = request.uri().path() == "/healthz" || auth::bearer(request.headers()).is_some();
    if !open && host.is_some_and(|host| !goes_by(host, &app.config)) {
        let message = "This server does not go by that name. Name it in server.public_url or server.allowed_hosts.";
        return Error::misdirected(message).into_response();
    }
    next.run(request).await
}

/// Host and port that were asked for; every browser says them.
fn host(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or("?"));
    header.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

/// An address can't be rebound; a name must be one of ours.
fn goes_by(host: &str, config: &Config) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let mut origins = config.public_origin.iter().chain(&config.origins).filter_map(|origin| origin.split_once("://"));
    address.is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || config.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
        || origins.any(|(_, authority)| without_port(authority).eq_ignore_ascii_case(&name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A write that carries a session must come from our own origin. Tokens are never sent by a browser on its own, so
/// they need no such proof.
pub(crate) async fn own_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let writes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if writes && auth::bearer(request.headers()).is_none() && !is_own(request.headers(), &app.config) {
        return Error::forbidden("This write does not come from the dashboard's own page.").into_response();
    }
    next.run(request).await
}

fn is_own(headers: &HeaderMap, config: &Config) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        // Every browser names the origin of a write; without one, a cookie could only be a forgery of ours.
        return auth::cookie(headers, &config.cookie(SESSION_COOKIE)).is_none();
    };
    if config.public_origin.iter().chain(&config.origins).any(|own| own.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = text(header::HOST).unwrap_or_default();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let scheme_fits = match config.tls {
        Some(_) => scheme == "https",
        // What we serve ourselves is http. Behind a proxy that nobody told us of, https is seen as http here.
        None => scheme == "http" || config.public_origin.is_none(),
    };
    let public = config.public_origin.as_deref().and_then(|own| own.split_once("://"));
    let is_public = public.is_some_and(|(_, own)| own.eq_ignore_ascii_case(authority));
    !host.is_empty() && authority == host && scheme_fits && !is_public
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_for(public: Option<&str>, pairs: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let config = Config {
            public_origin: public.map(str::to_owned),
            origins: vec!["https://other.example.org".to_owned()],
            ..Config::default()
        };
        is_own(&headers, &config)
    }

    #[test]
    fn only_our_own_page_writes_with_a_session() {
        let cookie = ("cookie", "overheard_session=x");
        let own = |pairs: &[(&str, &str)]| own_for(None, pairs);
        assert!(own(&[("host", "localhost:8080"), ("origin", "http://localhost:8080"), cookie]));
        assert!(own(&[("host", "10.0.0.1:8080"), ("origin", "https://other.example.org"), cookie]));
        assert!(own(&[("host", "behind.a.proxy"), ("origin", "https://behind.a.proxy"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), ("origin", "http://localhost:9090"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), ("origin", "null"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), cookie]));
        assert!(own(&[("host", "localhost:8080")]));
    }

    #[test]
    fn with_a_certificate_of_our_own_pages_are_https() {
        let files = crate::TlsFiles { certificate: "a".into(), key: "b".into() };
        let config = Config { tls: Some(files), ..Config::default() };
        let own = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("10.0.0.1:8480"));
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            is_own(&headers, &config)
        };
        assert!(own("https://10.0.0.1:8480") && !own("http://10.0.0.1:8480"));
    }

    #[test]
    fn with_a_public_address_scheme_host_and_port_count() {
        let own = |host, origin| {
            let pairs = [("host", host), ("origin", origin), ("cookie", "__Host-overheard_session=x")];
            own_for(Some("https://overheard.example.org"), &pairs)
        };
        assert!(own("overheard.example.org", "https://overheard.example.org"));
        assert!(own("127.0.0.1:8480", "https://overheard.example.org"), "a proxy that changes the host");
        assert!(own("127.0.0.1:8480", "http://127.0.0.1:8480"), "past the proxy");
        assert!(!own("overheard.example.org", "http://overheard.example.org"), "another scheme is another origin");
        assert!(!own("overheard.example.org", "https://overheard.example.org:8443"));
        assert!(!own("10.0.0.1", "https://10.0.0.1"));
        assert!(!own_for(
            Some("https://overheard.example.org"),
            &[("host", "overheard.example.org"), ("cookie", "__Host-overheard_session=x")]
        ));
    }

    #[test]
    fn only_names_of_ours_and_addresses_are_answered() {
        let config = Config {
            public_origin: Some("https://overheard.example.org:8443".into()),
            allowed_hosts: vec!["monitor".into()],
            ..Config::default()
        };
        for own in ["localhost:8480", "127.0.0.1", "[::1]:8480", "OVERHEARD.example.org", "monitor:1", "a.localhost"] {
            assert!(goes_by(own, &config), "{own}");
        }
        for other in ["evil.example", "evil.example:8480", "localhost.evil.example", "", "127.0.0.1.evil.example"] {
            assert!(!goes_by(other, &config), "{other}");
        }
    }
}
