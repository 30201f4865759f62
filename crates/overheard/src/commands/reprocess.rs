//! `overheard reprocess`: understand again what is in the lake, from the original payloads in `raw`.

use crate::Global;
use crate::commands::moment;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use domain::{Clock, PostTable, SystemClock, TimeRange};
use lake::RawSelection;
use runtime::{reprocess, wiring};
use state::Labels;
use std::process::ExitCode;

/// Understand posts again that are in the lake already: after a new model, new categories or a new topic.
/// What people corrected stays as they said.
///
/// overheard reprocess --since 2026-03-01
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// First day (UTC, YYYY-MM-DD) of the posts, or a moment (RFC 3339).
    #[arg(long)]
    since: String,
    /// Last day (UTC), included.
    #[arg(long)]
    until: Option<String>,
}

/// Posts read, understood and rewritten at once: bounds memory.
const CHUNK: usize = 5_000;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let since = moment(&args.since)?;
    let until = match &args.until {
        Some(day) => moment(day)? + chrono::Duration::days(1),
        None => SystemClock.now() + chrono::Duration::days(1),
    };
    let queue = wiring::open_queue(&config)?;
    let lake = wiring::open_lake(&config, &queue).await?;
    let understand = wiring::understand(&config, queue.as_ref()).await?;
    let labels = Labels::new(queue.as_ref()).current().await?;
    let range = RawSelection::Range(TimeRange { from: since, to: until });
    let total = lake.count_raw(&range).await?;
    let bar = progress::bar("{bar:30} {pos}/{len} posts, {per_sec}, {eta} left")?;
    bar.set_length(total);
    let (mut after, mut failed) = (String::new(), 0);
    loop {
        let stored = lake.raw_posts(&range, &after, CHUNK).await?;
        let Some(last) = stored.last() else { break };
        after.clone_from(&last.post_id);
        let again = reprocess::understand_again(&understand, &labels, &stored).await?;
        failed += again.failed;
        lake.rewrite(again.posts).await?;
        bar.inc(stored.len() as u64);
    }
    bar.finish_and_clear();
    say(format_args!("{} posts understood again, {failed} left as they were", total - failed as u64))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
