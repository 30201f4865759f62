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

/// Run everything in one process: listen, understand, detect (and alert), serve the dashboard.
///
/// The first start makes the data folder and an administrator, whose password is printed once. Nothing is called on the
/// network but what you configured. Stop with Ctrl-C: work in progress is finished.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Run only these parts (repeat or separate by commas), several processes on one folder.
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
    run_roles(config, Roles::of(args.role), queue, None, args.open).await
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
        None => say("  model     off: posts are kept and counted without being understood")?,
    }
    if Topics::new(state).list().await?.is_empty() {
        say("  next      say what to listen for:   overheard topics add NAME 'QUERY'")?;
        say("            bring posts in:           overheard import FILE, or a source: docs/sources.md")?;
    }
    say("  stop      Ctrl-C (work in progress is finished)\n")?;
    let bind = config.server.bind()?.ip();
    if roles.has(Role::Serve) && !bind.to_canonical().is_loopback() && !config.server.tls.is_on() {
        warn!(%bind, "the dashboard can be reached from other machines without TLS; set server.tls, or use a proxy with TLS");
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
        info!("no browser was found to open; the address is printed above");
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
