//! The layer that writes the audit log: every change, SQL and exports, with who asked and how it ended.

use crate::api::{CALLBACK, client_address};
use crate::app::App;
use crate::audit::Trail;
use crate::auth::ClientAddress;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use state::AuditEntry;
use std::sync::Arc;

/// What is written down: every change, SQL and exports. Pushes are counted elsewhere; checks of a query change nothing.
fn is_audited(method: &Method, route: &str) -> bool {
    match route {
        "/api/posts/export" | CALLBACK => true,
        "/v1/posts" | "/api/topics/check" | "/api/rules/back-test" => false,
        _ => route.starts_with("/api/") && ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method),
    }
}

/// The values of the route's parameters, as they stand in the path.
fn parameters(route: &str, path: &str) -> Option<String> {
    let pairs = route.split('/').zip(path.split('/'));
    let values: Vec<String> =
        pairs.filter(|(name, _)| name.starts_with('{')).map(|(_, value)| decoded(value)).collect();
    (!values.is_empty()).then(|| values.join(" "))
}

fn decoded(text: &str) -> String {
    let plus = text.replace('+', "%2B");
    url::form_urlencoded::parse(plus.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Writes down what was asked and how it ended.
pub(crate) async fn write(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    if !is_audited(request.method(), &route) {
        return next.run(request).await;
    }
    let trail = Trail::default();
    request.extensions_mut().insert(trail.clone());
    let ClientAddress(address) = client_address(&app, request.extensions(), request.headers());
    let parameters = parameters(&route, request.uri().path());
    let action = match (request.method(), route.as_str()) {
        (&Method::POST, "/api/session") | (&Method::GET, CALLBACK) => "sign in".to_owned(),
        (&Method::POST, "/api/session/link") => "sign in by link".to_owned(),
        (&Method::DELETE, "/api/session") => "sign out".to_owned(),
        (&Method::POST, "/api/session/password") => "change own password".to_owned(),
        (method, route) => format!("{method} {route}"),
    };
    let response = next.run(request).await;
    let (who, subject) = trail.take();
    let subject = subject.or(parameters);
    let status = response.status();
    // A stranger's calls that never were judged are only counted: anybody could fill the log with them.
    if who.is_none() && (action != "sign in" || status.as_u16() != 401) {
        return response;
    }
    let outcome = match status.as_u16() {
        0..400 => "done",
        400..500 => "refused",
        _ => "failed",
    };
    let address = Some(address.to_string());
    let entry = AuditEntry { at: app.clock.now(), who, address, action, subject, outcome: outcome.into() };
    if let Err(error) = app.audit.add(&entry).await {
        tracing::error!(%error, action = entry.action, "the audit log could not be written");
    }
    response
}
