//! Pages for machines that watch us: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics`. Strangers
//! read them, so they say which part fails and not why.

use crate::app::App;
use crate::auth::bearer;
use crate::error::Error;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let failing = app.ports.system.not_ready().await;
    match failing.is_empty() {
        true => (StatusCode::OK, "ready\n".into()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", failing.join(", "))),
    }
}

/// Anybody's, unless a token is configured.
pub(crate) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<impl IntoResponse, Error> {
    let known = match (&app.config.metrics_token, bearer(&headers)) {
        (None, _) => true,
        // Of digests, so that the time tells nothing of the token.
        (Some(token), Some(sent)) => Sha256::digest(token) == Sha256::digest(sent),
        (Some(_), None) => false,
    };
    match known {
        true => Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.ports.system.metrics())),
        false => Err(Error::unauthorized("Send the token of server.metrics_token_env: Authorization: Bearer ...")),
    }
}
