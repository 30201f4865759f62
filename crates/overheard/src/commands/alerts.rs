//! `overheard alerts`: rules, and whether their channels work.

use crate::Global;
use crate::output::{self, Format, say};
use alerts::{Delivery, Entry};
use anyhow::{Context, Result};
use clap::Subcommand;
use domain::StateStore;
use runtime::{alerting, clock, wiring};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

/// Alert rules and channels: list them, send a sample.
///
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
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    let state: Arc<dyn StateStore> = queue.clone();
    let rules = alerting::rules(&config, state.clone()).all().await?;
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
            if let Err(fault) = rule.check(&alerting::channels(&config)) {
                say(format_args!("the rule needs mending: {fault}"))?;
            }
            let book = alerting::book(&config, state);
            let sent = book.send_test(rule, &alerting::notifiers(&config)?, &clock()).await?;
            return report(&sent);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what became of the samples.
fn report(sent: &[Entry]) -> Result<ExitCode> {
    let mut again = false;
    for Entry { notification, delivery, error, .. } in sent {
        let what = match delivery {
            Delivery::Delivered => "delivered",
            Delivery::Refused | Delivery::Expired => "refused for good",
            Delivery::Pending => "not delivered",
        };
        let reason = error.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        say(format_args!("{}: {what}{reason}", notification.channel))?;
        again |= *delivery == Delivery::Pending;
    }
    if again {
        say("what was not delivered is tried again while `overheard up` runs")?;
    }
    let all = sent.iter().all(|entry| entry.delivery == Delivery::Delivered);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
