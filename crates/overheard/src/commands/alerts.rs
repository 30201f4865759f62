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

/// List alert rules and send test notifications
///
/// Rules and channels are defined in the config file (`[[alerts.rules]]`, `[[alerts.channels]]`) or in
/// the dashboard. See docs/alerts.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard alerts list
  overheard alerts test storms"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the active rules.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Send a test notification to every channel of a rule.
    Test {
        /// Name of the rule.
        rule: String,
    },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_existing_queue(&config)?;
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
            let rule = found.with_context(|| format!("no rule {rule:?}; `overheard alerts list` shows all rules"))?;
            if let Err(fault) = rule.check(&alerting::channels(&config)) {
                say(format_args!("the rule is invalid: {fault}"))?;
            }
            let book = alerting::book(&config, state);
            let sent = book.send_test(rule, &alerting::notifiers(&config)?, &clock()).await?;
            return report(&sent);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the outcome of each delivery.
fn report(sent: &[Entry]) -> Result<ExitCode> {
    let mut again = false;
    for Entry { notification, delivery, error, .. } in sent {
        let what = match delivery {
            Delivery::Delivered => "delivered",
            Delivery::Refused | Delivery::Expired => "permanently refused",
            Delivery::Pending => "not delivered",
        };
        let reason = error.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        say(format_args!("{}: {what}{reason}", notification.channel))?;
        again |= *delivery == Delivery::Pending;
    }
    if again {
        say("undelivered notifications are retried while `overheard up` runs")?;
    }
    let all = sent.iter().all(|entry| entry.delivery == Delivery::Delivered);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
