//! The server as a part of the process: it listens, answers, and stops when told, letting answers in flight finish.

use crate::answers::Answers;
use crate::app::{App, LivePosts, Ports};
use crate::auth::Attempts;
use crate::config::Config;
use crate::tls::Tls;
use crate::{api, audit_layer, dashboard, error::Error, guard, health, listen, mcp};
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use domain::analytics::Analytics;
use domain::{Clock, PostQueue, StateStore};
use state::{Accounts, AuditLog};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// Calls of the identity provider at one time: strangers cause them.
const SIGN_ONS_AT_ONCE: usize = 8;

/// The server with all that it stands on.
pub struct Server {
    pub config: Config,
    pub analytics: Arc<dyn Analytics>,
    pub state: Arc<dyn StateStore>,
    pub queue: Arc<dyn PostQueue>,
    pub ports: Ports,
    /// Committed posts; the pipeline sends, every live stream subscribes.
    pub live: broadcast::Sender<LivePosts>,
    pub clock: Arc<dyn Clock>,
}

impl Server {
    /// Listens at `config.bind` and answers until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> domain::Result<()> {
        let bind = self.config.bind;
        let listener = TcpListener::bind(bind).await.map_err(|error| {
            let message = format!("can't listen at {bind}: {error}; is another Overheard running there?");
            domain::Error::caused(domain::ErrorKind::Stop, message, error)
        })?;
        self.serve(listener, shutdown).await
    }

    /// Answers on a listener that is open already, until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> domain::Result<()> {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "server listens");
        }
        let config = self.config.clone();
        let tls = config.tls.clone().map(Tls::open).transpose().map_err(domain::Error::stop)?;
        listen::serve(listener, self.router(shutdown.clone()), &config, tls, shutdown).await;
        Ok(())
    }

    pub(crate) fn router(self, shutdown: CancellationToken) -> Router {
        let config = self.config;
        let permits = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        let app = Arc::new(App {
            answers: Answers::new(self.analytics, &config),
            accounts: Accounts::new(Arc::clone(&self.state)),
            attempts: Attempts::default(),
            sign_in_link: Mutex::new(config.sign_in_link.clone()),
            audit: AuditLog::new(Arc::clone(&self.state)),
            state: self.state,
            queue: self.queue,
            ports: self.ports,
            live: self.live,
            clock: self.clock,
            streams: Mutex::default(),
            bodies: permits(config.bodies_max_bytes),
            exports: permits(config.exports_at_once),
            sign_ons: Semaphore::new(SIGN_ONS_AT_ONCE),
            shutdown,
            config,
        });
        let (api, document) = api::parts();
        let tools = Arc::new(mcp::Tools::new(&document, api.clone().with_state(Arc::clone(&app))));
        let document = document.to_json().unwrap_or_default();
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        api.layer(middleware::from_fn_with_state(Arc::clone(&app), audit_layer::write))
            .route("/mcp", post(mcp::answer).layer(Extension(tools)))
            .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::own_origin))
            .route("/openapi.json", get(move || async move { (json, document) }))
            .fallback(dashboard::serve)
            .with_state(Arc::clone(&app))
            .merge(health::pages(Arc::clone(&app.ports.system), app.config.metrics_token.as_deref()))
            .layer(CompressionLayer::new())
            .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::own_host))
            .layer(middleware::from_fn_with_state(app, guard::headers))
            .layer(CatchPanicLayer::custom(|_| Error::internal("a handler panicked").into_response()))
            .layer(middleware::from_fn(guard::observe))
    }
}
