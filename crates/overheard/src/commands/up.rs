//! `overheard up`: everything, or the roles named by `--role`, as services under one supervisor.

use crate::Global;
use crate::commands::serve;
use crate::output::say;
use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use domain::StateStore;
use queue::Embedded;
use runtime::config::model_folder;
use runtime::{Config, Installation, Role, Roles, Stage, Supervisor, wiring};
use sources::sample::Feed;
use state::Topics;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tracing::{info, warn};

/// Run the pipeline, anomaly detection, alerts and the dashboard in one process
///
/// The first start creates the data folder and an admin user; the password is printed once. Overheard
/// makes network requests only to the services that you configure. Stop it with Ctrl-C; work in
/// progress is finished first.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard up
  overheard up --config my.toml --open
  overheard up --role listen              several processes on one data folder: docs/cluster.md"#
)]
pub(crate) struct Args {
    /// Run only these roles (repeat the option or separate names with commas) [default: all].
    #[arg(long, value_parser = role_parser(), value_delimiter = ',', value_name = "ROLE")]
    role: Vec<Role>,
    /// Open the dashboard in a browser.
    #[arg(long)]
    open: bool,
}

fn role_parser() -> impl clap::builder::TypedValueParser<Value = Role> {
    let values = Role::ALL.map(|role| PossibleValue::new(role.name()).help(role.help()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Role>())
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    Box::pin(run_roles(config, Roles::of(args.role), queue, None, args.open)).await
}

/// Starts the services of the roles and runs until a signal. `feed`: the sample, for a demo.
pub(crate) async fn run_roles(
    config: Config,
    roles: Roles,
    queue: Arc<Embedded>,
    feed: Option<Feed>,
    open: bool,
) -> Result<ExitCode> {
    let installation = Installation::open(config, roles, queue).await?;
    let mut supervisor = Supervisor::default();
    let is_demo = feed.is_some();
    if let Some(feed) = feed {
        let backfills = installation.connectors.backfills();
        supervisor.start(Stage::Ingest, "sample", |shutdown| feed.run(backfills, shutdown));
    }
    installation.start(&mut supervisor)?;
    let mut dashboard = installation.config.server.local_address();
    if installation.roles.has(Role::Serve) {
        let fragment = serve::start(&installation, is_demo, &mut supervisor).await?;
        dashboard.extend(fragment.map(|fragment| format!("/{fragment}")));
    } else {
        serve::start_health(&installation, &mut supervisor)?;
    }
    greet(&installation.config, &installation.roles, installation.state().as_ref(), &dashboard).await?;
    if open {
        open_browser(&installation.config.data, &dashboard);
    }
    supervisor.run().await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Says where to look and what to do next.
async fn greet(config: &Config, roles: &Roles, state: &dyn StateStore, dashboard: &str) -> Result<()> {
    say("")?;
    say(format_args!("  data      {}", config.data.display()))?;
    if roles.has(Role::Serve) {
        say(format_args!("  dashboard {dashboard}"))?;
        if dashboard.contains('#') {
            say("            (this link signs you in: once, within 10 minutes, on this machine)")?;
        }
    }
    let model = if config.understand.enabled { model_folder(&config.understand.model) } else { None };
    match model {
        Some(folder) => say(format_args!("  model     {}", folder.display()))?,
        None => say("  model     off: posts are stored and counted without language analysis")?,
    }
    if Topics::new(state).list().await?.is_empty() {
        say("  next      add a topic:    overheard topics add NAME 'QUERY'")?;
        say("            import posts:   overheard import FILE, or add a source in the dashboard")?;
    }
    say("  stop      Ctrl-C (finishes work in progress)\n")?;
    let bind = config.server.bind()?.ip();
    if roles.has(Role::Serve) && !bind.to_canonical().is_loopback() && !config.server.tls.is_on() {
        warn!(%bind, "the dashboard is reachable from other machines without TLS; set server.tls or use a TLS proxy");
    }
    Ok(())
}

/// Opens the page where there is a desktop; elsewhere the address was printed.
fn open_browser(data: &Path, address: &str) {
    let address = match address.contains('#') {
        // Other users of this machine can read the arguments of a process, so the secret is not one.
        true => match write_redirect(data, address) {
            Ok(file) => file.into_os_string(),
            Err(error) => return info!(%error, "no browser was opened; the address is printed above"),
        },
        false => address.into(),
    };
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = std::process::Command::new(opener)
        .arg(address)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    if opened.is_err() {
        info!("no browser found; open the address printed above");
    }
}

/// Writes a page that leads to the address and that only its owner can read.
fn write_redirect(data: &Path, address: &str) -> std::io::Result<PathBuf> {
    let file = std::path::absolute(data.join("sign-in.html"))?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let page = format!("<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={address}\">\n");
    options.open(&file)?.write_all(page.as_bytes())?;
    Ok(file)
}
