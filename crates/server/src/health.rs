//! Pages for load balancers and monitoring: `/healthz` (the process answers), `/readyz` (it can do its work), `/metrics`.
//! They are open, so they name the part that fails and not why. A process without the role `serve` has them alone.

use crate::auth::bearer;
use crate::config::Config;
use crate::error::Error;
use crate::{guard, listen};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use domain::SystemInfo;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the pages are about.
#[derive(Clone)]
struct Watched {
    system: Arc<dyn SystemInfo>,
    /// Who reads `/metrics` sends this as a bearer token; None: anybody may.
    metrics_token: Option<Arc<str>>,
}

/// The three pages.
pub(crate) fn pages(system: Arc<dyn SystemInfo>, metrics_token: Option<&str>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Watched { system, metrics_token: metrics_token.map(Arc::from) })
}

/// Answers the three pages at `bind` and nothing else, until `shutdown`. Fails if the address can't be listened at.
pub async fn serve_health(
    bind: SocketAddr,
    system: Arc<dyn SystemInfo>,
    metrics_token: Option<String>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        let message = format!("server.health_bind: can't listen at {bind}: {error}");
        domain::Error::caused(domain::ErrorKind::Stop, message, error)
    })?;
    tracing::info!(address = %bind, "health pages are served");
    let router = pages(system, metrics_token.as_deref()).layer(middleware::from_fn(guard::observe));
    listen::serve(listener, router, &Config::default(), None, shutdown).await;
    Ok(())
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(watched): State<Watched>) -> (StatusCode, String) {
    let failing = watched.system.not_ready().await;
    match failing.is_empty() {
        true => (StatusCode::OK, "ready\n".into()),
        false => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", failing.join(", "))),
    }
}

async fn metrics(State(watched): State<Watched>, headers: HeaderMap) -> Result<impl IntoResponse, Error> {
    let known = match (&watched.metrics_token, bearer(&headers)) {
        (None, _) => true,
        // Of digests, so that the time tells nothing of the token.
        (Some(token), Some(sent)) => Sha256::digest(token.as_bytes()) == Sha256::digest(sent),
        (Some(_), None) => false,
    };
    match known {
        true => Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], watched.system.metrics())),
        false => Err(Error::unauthorized("Send the token of server.metrics_token_env: Authorization: Bearer ...")),
    }
}
