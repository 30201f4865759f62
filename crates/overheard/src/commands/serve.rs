//! The role `serve` of `overheard up`: the HTTP server, its settings, the first admin, push tokens, and what the server
//! needs beside it.

use crate::output::say;
use anyhow::Result;
use domain::StateStore;
use pipeline::Committed;
use runtime::admin::RunningSystem;
use runtime::config::ForwardedHeader;
use runtime::{Config, Installation, Stage, Supervisor, clock, wiring};
use server::auth::SignInLink;
use server::{LivePosts, Ports, RoleGroups, TlsFiles};
use state::{Accounts, AuditLog, Role};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

const MB: usize = 1 << 20;
/// Commits that a slow live stream may lag behind before it misses some.
const LIVE_BATCHES: usize = 64;
/// The retention of the audit log is applied at the start and this often.
const AUDIT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Adds the server's services. For a demo, gives the path and fragment of the dashboard that sign in.
pub(crate) async fn start(
    installation: &Installation,
    is_demo: bool,
    supervisor: &mut Supervisor,
) -> Result<Option<String>> {
    let (config, state) = (&installation.config, installation.state());
    // The password of a demo guards posts of our own making.
    first_admin(config, &state, !is_demo).await?;
    let accounts = Accounts::new(state.clone());
    accounts.set_push_tokens(&config.sources.push_tokens()?, clock().now()).await?;
    let link = if is_demo { sign_in_link(config, &accounts).await? } else { None };
    let (sign_in_link, fragment) = link.unzip();
    installation.lake.warm_up();
    let (live, _) = broadcast::channel(LIVE_BATCHES);
    let server = server::Server {
        config: server::Config { sign_in_link, ..settings(config)? },
        analytics: installation.lake.clone(),
        state: state.clone(),
        queue: installation.queue.clone(),
        ports: Ports {
            system: installation.system.clone(),
            push: Arc::new(installation.push()?),
            alerts: Arc::new(installation.alerts()),
            sql: Arc::new(installation.sql()?),
            posts: Arc::new(installation.posts()),
            sources: installation.connectors.clone(),
            identity: wiring::identity_provider(config)?,
            imports: Arc::new(installation.imports()),
        },
        live: live.clone(),
        clock: clock(),
    };
    let (committed, system) = (installation.committed(), installation.system.clone());
    supervisor.start(Stage::Serve, "live", |shutdown| show_commits(committed, system, live, shutdown));
    supervisor.start(Stage::Serve, "server", |shutdown| server.run(shutdown));
    let (audit, days) = (AuditLog::new(state), config.server.audit_days);
    supervisor.start(Stage::Serve, "audit log", move |shutdown| expire_audit_log(audit, days, shutdown));
    Ok(fragment)
}

/// A link that signs an admin in, where the dashboard is reached over plain HTTP as it is on this machine.
async fn sign_in_link(config: &Config, accounts: &Accounts) -> Result<Option<(SignInLink, String)>> {
    if !config.server.public_url.is_empty() || config.server.tls.is_on() {
        return Ok(None);
    }
    let admin = accounts.accounts().await?.into_iter().find(|account| account.role == Role::Admin);
    Ok(admin.map(|admin| SignInLink::new(&admin.name, clock().now())))
}

/// Serves the health pages of a process without the role, if the settings say where.
pub(crate) fn start_health(installation: &Installation, supervisor: &mut Supervisor) -> Result<()> {
    let settings = &installation.config.server;
    let Some(bind) = settings.health_bind()? else { return Ok(()) };
    let (system, token) = (installation.system.clone(), settings.metrics_token()?);
    supervisor.start(Stage::Serve, "health pages", |shutdown| server::serve_health(bind, system, token, shutdown));
    Ok(())
}

/// On a first start: makes the admin and shows the password, unless the settings name it.
async fn first_admin(config: &Config, state: &Arc<dyn StateStore>, must_change: bool) -> Result<()> {
    let accounts = Accounts::new(Arc::clone(state));
    if !accounts.accounts().await?.is_empty() {
        return Ok(());
    }
    let given = config.server.first_admin_password()?;
    let now = clock().now();
    if let Some(password) = accounts.add_first_admin(given, must_change, now).await? {
        let changed = if must_change { " and must be changed at the first sign-in" } else { "" };
        say("")?;
        say("  First start. Sign in with:")?;
        say(format_args!("    user      admin\n    password  {password}"))?;
        say(format_args!("  The password is shown only once{changed}."))?;
    }
    Ok(())
}

/// Shows every commit to the live streams, and counts it for the system report.
async fn show_commits(
    mut committed: broadcast::Receiver<Committed>,
    system: Arc<RunningSystem>,
    live: broadcast::Sender<LivePosts>,
    shutdown: CancellationToken,
) -> domain::Result<()> {
    loop {
        tokio::select! {
            batch = committed.recv() => match batch {
                Ok(batch) => {
                    system.observe(&batch);
                    // Fails when no one looks at the page.
                    drop(live.send(batch.posts));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => { shutdown.cancelled().await; return Ok(()) }
            },
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Applies the audit log's retention.
async fn expire_audit_log(audit: AuditLog, days: u32, shutdown: CancellationToken) -> domain::Result<()> {
    loop {
        if let Err(error) = audit.expire(days, clock().now()).await {
            warn!(%error, "could not remove expired audit log entries; retrying in a day");
        }
        tokio::select! {
            () = tokio::time::sleep(AUDIT_EVERY) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// The server's settings.
fn settings(config: &Config) -> Result<server::Config> {
    let (settings, limits) = (&config.server, &config.server.limits);
    let seconds = Duration::from_secs;
    Ok(server::Config {
        bind: settings.bind()?,
        public_origin: settings.public_origin()?,
        tls: settings.tls.is_on().then(|| TlsFiles {
            certificate: settings.tls.certificate.clone().into(),
            key: settings.tls.key.clone().into(),
        }),
        origins: settings.other_origins()?,
        allowed_hosts: settings.allowed_hosts.clone(),
        trusted_proxies: settings.proxies()?,
        forwarded_header: match settings.forwarded_header {
            ForwardedHeader::XForwardedFor => server::auth::ForwardedHeader::XForwardedFor,
            ForwardedHeader::Forwarded => server::auth::ForwardedHeader::Forwarded,
        },
        audit_days: settings.audit_days,
        session_age_max: seconds(settings.session_days * 86_400),
        groups: RoleGroups {
            admins: settings.openid.admins.clone(),
            analysts: settings.openid.analysts.clone(),
            viewers: settings.openid.viewers.clone(),
        },
        sign_in_link: None,
        metrics_token: settings.metrics_token()?,
        connections_max: limits.connections,
        header_timeout: seconds(limits.idle_timeout_s),
        body_timeout: seconds(limits.body_timeout_s),
        write_timeout: seconds(limits.write_timeout_s),
        bodies_max_bytes: limits.bodies_mb * MB,
        body_max_bytes: limits.body_kb * 1024,
        push_max_bytes: limits.push_body_mb * MB,
        import_max_bytes: limits.import_mb as u64 * MB as u64,
        sql_rows_max: limits.sql_rows,
        sql_timeout: seconds(limits.sql_timeout_s),
        export_timeout: seconds(limits.export_timeout_s),
        exports_at_once: limits.exports_at_once,
        export_ids_only: settings.export_ids_only.clone(),
        questions_at_once: limits.questions_at_once,
        streams_max: limits.streams,
        streams_per_user_max: limits.streams_per_user,
        answer_age_max: Duration::from_millis(limits.answer_age_ms),
        answers_max_bytes: limits.answers_mb * MB,
    })
}
