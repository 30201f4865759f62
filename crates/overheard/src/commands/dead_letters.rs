//! `overheard dead-letters`: what could not be kept or understood, with the reason.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Result, bail};
use clap::Subcommand;
use domain::PostQueue;
use runtime::wiring;
use serde_json::json;
use std::process::ExitCode;

/// List, show and replay dead letters: records that could not be parsed or enriched, with the reason
///
/// Fix the cause (for example, upgrade, or map columns), then replay them. A replayed record that fails
/// again becomes a dead letter again.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard dead-letters list --limit 20
  overheard dead-letters show 17
  overheard dead-letters replay 17 18       replay these; without ids, replay all"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, newest first, with the reason.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        /// Maximum number of dead letters to list.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one dead letter with its payload.
    Show {
        /// Id of the dead letter.
        id: u64,
    },
    /// Replay dead letters through the pipeline.
    Replay {
        /// Ids to replay [default: all].
        ids: Vec<u64>,
    },
}

/// Letters read at once: their payloads can be large.
const PAGE: usize = 100;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_existing_queue(&config)?;
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
                bail!("no dead letter {id}; `overheard dead-letters list` shows all of them");
            };
            say(serde_json::to_string_pretty(&letter)?)?;
        }
        Action::Replay { ids } => {
            let (kept, failed) = wiring::replay(&config, queue.as_ref()).letters(&ids).await?;
            say(format_args!("{kept} replayed, {failed} failed again"))?;
            if failed > 0 {
                return Ok(ExitCode::from(3));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
