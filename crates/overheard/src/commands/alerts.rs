//! `overheard alerts`: rules, and whether their channels work.

use crate::Global;
use crate::alerting;
use crate::config::Config;
use crate::house;
use crate::output::{self, Format, say};
use anyhow::{Context, Result};
use clap::Subcommand;
use domain::StateStore;
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

/// Rules and channels are made in the configuration (`[[alerts.rules]]`, `[[alerts.channels]]`) or on the page.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The rules in force.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Send a sample through every channel of a rule.
    Test { rule: String },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    let state: Arc<dyn StateStore> = house::open_queue(&config)?;
    let rules = alerting::rules(&config, state.as_ref()).await?;
    match args.action {
        Action::List { format } => {
            let rows = rules
                .into_iter()
                .map(|rule| {
                    vec![
                        json!(rule.name),
                        json!(rule.topic),
                        json!(rule.condition),
                        json!(rule.channels),
                        json!(rule.enabled),
                    ]
                })
                .collect();
            output::print(&output::rows(&["rule", "topic", "condition", "channels", "enabled"], rows), format)?;
        }
        Action::Test { rule } => {
            let found = rules.iter().find(|known| known.name == rule);
            let rule =
                found.with_context(|| format!("there is no rule {rule:?}; `overheard alerts list` shows them"))?;
            let book = alerting::book(state);
            let channels = book.send_test(rule, house::clock().now()).await?;
            let lake = house::open_lake(&config).await?;
            let delivered = alerting::outbox(&config, &book, lake)?.round().await?;
            say(format_args!("{delivered} of {} channels took the sample: {}", channels.len(), channels.join(", ")))?;
            if delivered < channels.len() {
                say("the others are tried again while `overheard up` runs; their errors are in its log")?;
                return Ok(ExitCode::from(3));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
