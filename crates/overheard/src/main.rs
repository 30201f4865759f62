//! The `overheard` program: reads the command line and runs one file per command under `commands`. What the commands do
//! is in the crate `runtime`.
//!
//! Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but something was found that needs attention
//! (rejected posts, a failed check).

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod commands;
mod output;
mod progress;

use clap::{Parser, Subcommand};
use runtime::Config;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// What people say about you in public: how much, how they feel, about what, where, and when something changes.
///
/// Start with `overheard demo` (a sample of our own making, no account needed) or `overheard up`.
#[derive(Debug, Parser)]
#[command(name = "overheard", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Settings file (TOML); `overheard config print --default` shows every setting with its meaning.
    #[arg(long, global = true, env = "OVERHEARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The installation's folder: queue, state and lake [default: overheard-data].
    #[arg(long, global = true, env = "OVERHEARD_DATA_DIR", value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is logged to standard error: error, warn, info, debug, or a filter such as `lake=debug`.
    #[arg(long, global = true, env = "OVERHEARD_LOG", value_name = "FILTER")]
    log: Option<String>,
}

impl Global {
    /// The configuration of all layers.
    pub(crate) fn load(&self) -> anyhow::Result<Config> {
        Config::load(self.config.as_deref(), self.data.as_deref())
    }
}

// Each with its line in the list of commands. A doc comment would replace the whole help, which is that of its `Args`.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(about = "Run everything: listen, understand, watch, alert, and serve the dashboard")]
    Up(commands::up::Args),
    #[command(about = "Run with a sample of our own making: two weeks of posts replayed up to now, then live")]
    Demo(commands::demo::Args),
    #[command(about = "Bring in posts from files (JSONL, CSV; `-` is standard input)")]
    Import(commands::import::Args),
    #[command(about = "Say what the model understands of texts, without storing them")]
    Analyze(commands::analyze::Args),
    #[command(about = "Our model beside an engine of Amazon on your own texts: agreement, and the price of each")]
    Compare(commands::compare::Args),
    #[command(about = "What it costs on AWS at your volume and at others, beside two published architectures")]
    Cost(commands::cost::Args),
    #[command(about = "Ask the lake in SQL (read-only)")]
    Sql(commands::sql::Args),
    #[command(about = "What you listen for: named queries")]
    Topics(commands::topics::Args),
    #[command(about = "Posts that could not be kept or understood, with the reason; look at them, replay them")]
    DeadLetters(commands::dead_letters::Args),
    #[command(about = "Delete posts for good, with every copy of their words: by id, author or query")]
    Forget(commands::forget::Args),
    #[command(about = "Understand posts again that are in the lake already (a new model, new categories, new topics)")]
    Reprocess(commands::reprocess::Args),
    #[command(about = "Copy the whole installation to a folder, while it runs")]
    Backup(commands::backup::Args),
    #[command(about = "Bring a backup back into an empty data folder")]
    Restore(commands::restore::Args),
    #[command(about = "Accept the lake as it is, after it was lost or restored from an older copy")]
    Reconcile(commands::reconcile::Args),
    #[command(about = "Turn place names into coordinates")]
    Geocode(commands::geocode::Args),
    #[command(about = "Run the detector over a series from a file or from the lake and show what it would have found")]
    Backtest(commands::backtest::Args),
    #[command(about = "Alert rules and channels: list them, send a sample")]
    Alerts(commands::alerts::Args),
    #[command(about = "Your own categories: train, evaluate")]
    Categories(commands::categories::Args),
    #[command(about = "Who may sign in: list, add, give a new password, change the role, remove")]
    Users(commands::users::Args),
    #[command(about = "Who did what, from where: sign-ins, changes, exports, SQL")]
    Audit(commands::audit::Args),
    #[command(about = "Language models: what is loaded; bring in a Hugging Face classifier")]
    Models(commands::models::Args),
    #[command(
        about = "Check configuration, credentials, disk, clock, model and sources, and say how to mend what fails"
    )]
    Doctor(commands::doctor::Args),
    #[command(about = "Read every file of the installation and name every damage")]
    Check(commands::check::Args),
    #[command(about = "Mend what `check` finds, as far as it can be mended; what is taken out is kept")]
    Repair(commands::repair::Args),
    #[command(about = "Answer the invocations of an AWS Lambda function")]
    Lambda(commands::lambda::Args),
    #[command(about = "Settings: check, print, JSON schema")]
    Config(commands::config::Args),
    /// Answers SQL for `up`, which starts it (`lake::SqlWorkers`).
    #[command(hide = true)]
    SqlWorker,
}

fn main() -> ExitCode {
    // One provider for every TLS client in the process, before any of them starts.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("overheard: a TLS provider was installed before main");
    }
    let cli = Cli::parse();
    start_log(&cli);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("overheard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Long-running commands log their milestones; the others log only problems.
fn start_log(cli: &Cli) {
    let default = match cli.command {
        Command::Up(_) | Command::Demo(_) | Command::Lambda(_) => {
            "warn,overheard=info,runtime=info,sources=info,alerts=info,server=info,queue=info"
        }
        _ => "warn",
    };
    let filter = cli.global.log.clone().unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
        eprintln!("overheard: --log {filter:?}: {error}; using {default:?}");
        EnvFilter::new(default)
    });
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).init();
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global;
    if matches!(cli.command, Command::SqlWorker) {
        lake::run_sql_worker()?;
        return Ok(ExitCode::SUCCESS);
    }
    let executor = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    executor.block_on(async {
        match cli.command {
            Command::Up(args) => commands::up::run(global, args).await,
            Command::Demo(args) => commands::demo::run(global, args).await,
            Command::Import(args) => commands::import::run(global, args).await,
            Command::Analyze(args) => commands::analyze::run(global, args),
            Command::Compare(args) => commands::compare::run(global, args),
            Command::Cost(args) => commands::cost::run(global, args).await,
            Command::Sql(args) => commands::sql::run(global, args).await,
            Command::Topics(args) => commands::topics::run(global, args).await,
            Command::DeadLetters(args) => commands::dead_letters::run(global, args).await,
            Command::Forget(args) => commands::forget::run(global, args).await,
            Command::Reprocess(args) => commands::reprocess::run(global, args).await,
            Command::Backup(args) => commands::backup::run(global, args).await,
            Command::Restore(args) => commands::restore::run(global, args).await,
            Command::Reconcile(args) => commands::reconcile::run(global, args).await,
            Command::Geocode(args) => commands::geocode::run(args),
            Command::Backtest(args) => commands::backtest::run(global, args).await,
            Command::Alerts(args) => commands::alerts::run(global, args).await,
            Command::Categories(args) => commands::categories::run(global, args),
            Command::Users(args) => commands::users::run(global, args).await,
            Command::Audit(args) => commands::audit::run(global, args).await,
            Command::Models(args) => commands::models::run(global, args).await,
            Command::Doctor(args) => commands::doctor::run(global, args).await,
            Command::Check(args) => commands::check::run(global, args).await,
            Command::Repair(args) => commands::repair::run(global, args).await,
            Command::Lambda(args) => commands::lambda::run(global, args).await,
            Command::Config(args) => commands::config::run(global, args),
            // Answered above: it makes a runtime of its own.
            Command::SqlWorker => Ok(ExitCode::SUCCESS),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_help_of_a_command_is_more_than_its_line_in_the_list() {
        let program = Cli::command();
        for (name, words) in [
            ("up", "Stop with Ctrl-C"),
            ("import", "Simple form"),
            ("topics", "lang:de"),
            ("repair", "Stop `overheard up` first"),
            ("models", "safetensors"),
            ("alerts", "[[alerts.rules]]"),
            ("doctor", "Exit code 3"),
        ] {
            let command = program.find_subcommand(name).unwrap();
            let help = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(words), "{name}: {help}");
        }
    }
}
