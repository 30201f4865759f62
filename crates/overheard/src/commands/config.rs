//! `overheard config`: check, print and describe the settings.

use crate::Global;
use crate::output::say;
use anyhow::Result;
use clap::Subcommand;
use runtime::config::{Config, DEFAULT_TOML};
use runtime::wiring;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read all layers and say what is wrong, if anything.
    Check,
    /// Print the settings in force (or the commented defaults).
    Print {
        /// The defaults, with the meaning of every setting: a start for a file of your own.
        #[arg(long)]
        default: bool,
    },
    /// Print the JSON Schema of the settings, for editors and tools.
    Schema,
}

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    match args.action {
        Action::Check => {
            let config = global.load()?;
            say(format_args!("the configuration is good; data folder: {}", config.data.display()))?;
            let refusals = wiring::refusals(&config);
            let refusals = refusals.iter().map(|refusal| format!("`overheard up` would not start here: {refusal}"));
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
