//! `overheard dead-letters`: what could not be kept or understood, with the reason.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Result, bail};
use clap::Subcommand;
use domain::PostQueue;
use runtime::wiring;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The newest first, with the reason.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One of them, with what came in.
    Show { id: u64 },
    /// Put them through again: all, or the ids given. What fails again comes back with its reason.
    Replay { ids: Vec<u64> },
}

/// Letters read at once: their payloads can be large.
const PAGE: usize = 100;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    match args.action {
        Action::List { format, limit } => {
            let mut rows = Vec::new();
            let mut before = u64::MAX;
            while rows.len() < limit {
                let page = queue.dead_letters_before(before, (limit - rows.len()).min(PAGE)).await?;
                let Some(last) = page.last() else { break };
                before = last.id;
                rows.extend(page.into_iter().map(|letter| {
                    vec![json!(letter.id), json!(letter.occurred_at), json!(letter.source), json!(letter.reason)]
                }));
            }
            if rows.is_empty() && format == Format::Table {
                say("no dead letters")?;
                return Ok(ExitCode::SUCCESS);
            }
            output::print(&output::rows(&["id", "at", "source", "reason"], rows), format)?;
        }
        Action::Show { id } => {
            let Some(letter) = queue.find_dead_letter(id).await? else {
                bail!("there is no dead letter {id}; `overheard dead-letters list` shows them");
            };
            say(serde_json::to_string_pretty(&letter)?)?;
        }
        Action::Replay { ids } => {
            let (kept, failed) = wiring::replay(&config, queue.as_ref()).letters(&ids).await?;
            say(format_args!("{kept} kept, {failed} failed again"))?;
            if failed > 0 {
                return Ok(ExitCode::from(3));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
