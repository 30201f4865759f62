//! The `overheard` program: reads the command line and runs one file per command under `commands`. What the commands do
//! is in the crate `runtime`.
//!
//! Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but something was found that needs attention
//! (rejected posts, a failed check).

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod commands;
#[cfg(test)]
mod documentation;
mod output;
mod progress;

use clap::{Parser, Subcommand};
use runtime::Config;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Voice-of-customer analytics: collect public posts, analyze them, and get alerts when something changes.
///
/// Start with `overheard demo` (sample data, no account needed) or `overheard up`.
#[derive(Debug, Parser)]
#[command(name = "overheard", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Config file (TOML). `overheard config print --default` prints every setting with its default.
    #[arg(long, global = true, env = "OVERHEARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder: queue, state and lake [default: overheard-data].
    #[arg(long, global = true, env = "OVERHEARD_DATA_DIR", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Log level for standard error: error, warn, info, debug, or a filter such as `lake=debug`.
    #[arg(long, global = true, env = "OVERHEARD_LOG", value_name = "FILTER")]
    log: Option<String>,
}

impl Global {
    /// The configuration of all layers.
    pub(crate) fn load(&self) -> anyhow::Result<Config> {
        Config::load(self.config.as_deref(), self.data.as_deref())
    }
}

// A doc comment on a variant would replace the help of its `Args`.
#[derive(Debug, Subcommand)]
enum Command {
    Up(commands::up::Args),
    Demo(commands::demo::Args),
    Import(commands::import::Args),
    Analyze(commands::analyze::Args),
    #[command(about = "Compare the language model with an Amazon service on your own texts")]
    Compare(commands::compare::Args),
    #[command(about = "Estimate the cost on AWS, beside two published architectures")]
    Cost(commands::cost::Args),
    Sql(commands::sql::Args),
    Topics(commands::topics::Args),
    DeadLetters(commands::dead_letters::Args),
    Forget(commands::forget::Args),
    Reprocess(commands::reprocess::Args),
    Backup(commands::backup::Args),
    Restore(commands::restore::Args),
    Reconcile(commands::reconcile::Args),
    Geocode(commands::geocode::Args),
    Backtest(commands::backtest::Args),
    Alerts(commands::alerts::Args),
    Categories(commands::categories::Args),
    Users(commands::users::Args),
    Audit(commands::audit::Args),
    Models(commands::models::Args),
    Doctor(commands::doctor::Args),
    Check(commands::check::Args),
    Repair(commands::repair::Args),
    #[command(about = "Handle the invocations of an AWS Lambda function")]
    Lambda(commands::lambda::Args),
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
    fn every_command_has_a_summary_and_an_example_of_each_of_its_actions() {
        let mut program = Cli::command();
        program.build();
        for command in program.get_subcommands_mut().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
            let name = command.get_name().to_owned();
            let summary = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!summary.is_empty() && !summary.contains('\n') && summary.len() <= 100, "{name}: {summary:?}");
            let help = command.render_long_help().to_string();
            let actions = command.get_subcommands().map(|action| action.get_name()).filter(|action| *action != "help");
            let actions: Vec<String> = actions.map(|action| format!("overheard {name} {action}")).collect();
            let wanted = if actions.is_empty() { vec![format!("overheard {name}")] } else { actions };
            let (_, examples) = help.split_once("Examples:").unwrap_or_else(|| panic!("{name} has no examples"));
            for usage in wanted {
                assert!(examples.contains(&usage), "{name}: no example of `{usage}`");
            }
        }
    }

    #[test]
    fn every_option_and_argument_is_explained() {
        fn look(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{}: {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().filter(|one| one.get_name() != "help").for_each(look);
        }
        let mut program = Cli::command();
        program.build();
        look(&program);
    }
}
