//! `overheard config`: check, print and describe the settings.

use crate::Global;
use crate::output::say;
use anyhow::Result;
use clap::Subcommand;
use runtime::config::{Config, DEFAULT_TOML};
use runtime::wiring;
use std::process::ExitCode;

/// Check the configuration, and print the settings or their JSON Schema
///
/// Order of precedence: defaults, config file, environment (OVERHEARD__SERVER__BIND=...), command-line
/// options.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard config check --config my.toml
  overheard config print --default > my.toml     every setting with its default and meaning
  overheard config schema > overheard.schema.json"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Validate the configuration.
    Check,
    /// Print the effective settings.
    Print {
        /// Print the commented defaults instead.
        #[arg(long)]
        default: bool,
    },
    /// Print the JSON Schema of the config file, for editors and tools.
    Schema,
}

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Check => {
            let config = global.load()?;
            say(format_args!("the configuration is valid; data folder: {}", config.data.display()))?;
            let refusals = wiring::refusals(&config);
            let refusals = refusals.iter().map(|refusal| format!("`overheard up` would fail to start: {refusal}"));
            config
                .notices()
                .into_iter()
                .chain(refusals)
                .try_for_each(|notice| say(format_args!("notice: {notice}")))?;
        }
        Action::Print { default: true } => say(DEFAULT_TOML.trim_end())?,
        Action::Print { default: false } => {
            let config = global.load()?;
            say(toml::to_string_pretty(&config)?.trim_end())?;
        }
        Action::Schema => say(serde_json::to_string_pretty(&Config::schema())?)?,
    }
    Ok(ExitCode::SUCCESS)
}
