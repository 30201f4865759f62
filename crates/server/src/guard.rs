//! What guards every answer: security headers, and the check that a write with a session comes from our own page.

use crate::app::App;
use crate::auth;
use crate::error::Error;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Scripts, styles and connections from ourselves only; no inline script, no frame around us. Images may be `data:`,
/// which the charts' own decorations use.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Adds the headers that keep browsers from doing what we did not mean.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let class = format!("{}xx", response.status().as_u16() / 100);
    metrics::counter!("overheard_http_requests_total", "status" => class).increment(1);
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
    if api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// A write that carries a session must come from our own origin. Tokens are never sent by a browser on its own, so
/// they need no such proof.
pub(crate) async fn own_origin(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let writes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if writes && auth::bearer(request.headers()).is_none() && !is_own(request.headers(), &app.config.origins) {
        return Error::forbidden("This write does not come from the dashboard's own page.").into_response();
    }
    next.run(request).await
}

fn is_own(headers: &HeaderMap, others: &[String]) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        // Every browser names the origin of a write; without one, a cookie could only be a forgery of ours.
        return auth::cookie(headers).is_none();
    };
    let host = text(header::HOST).unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    (!host.is_empty() && authority == Some(host)) || others.iter().any(|other| other == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        is_own(&headers, &["https://overheard.example.org".to_owned()])
    }

    #[test]
    fn only_our_own_page_writes_with_a_session() {
        let cookie = ("cookie", "overheard_session=x");
        assert!(own(&[("host", "localhost:8080"), ("origin", "http://localhost:8080"), cookie]));
        assert!(own(&[("host", "10.0.0.1:8080"), ("origin", "https://overheard.example.org"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), ("origin", "http://localhost:9090"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), ("origin", "null"), cookie]));
        assert!(!own(&[("host", "localhost:8080"), cookie]));
        assert!(own(&[("host", "localhost:8080")]));
    }
}
