//! `overheard reprocess`: understand again what is in the lake, from the original payloads in `raw`.

use crate::Global;
use crate::commands::moment;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use domain::{Clock, RawPosts, RawSelection, SystemClock, TimeRange};
use pipeline::Reprocessed;
use runtime::wiring;
use std::process::ExitCode;

/// Re-run enrichment on stored posts, after a change of model, categories or topics
///
/// Reads the original payloads in the table `raw` and replaces the derived rows. Corrections made by
/// people are kept.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard reprocess --since 2026-03-01
  overheard reprocess --since 2026-03-01 --until 2026-03-07"#
)]
pub(crate) struct Args {
    /// First day (UTC, YYYY-MM-DD) or timestamp (RFC 3339).
    #[arg(long)]
    since: String,
    /// Last day (UTC), inclusive [default: today].
    #[arg(long)]
    until: Option<String>,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let since = moment(&args.since)?;
    let until = match &args.until {
        Some(day) => moment(day)? + chrono::Duration::days(1),
        None => SystemClock.now() + chrono::Duration::days(1),
    };
    let queue = wiring::open_existing_queue(&config)?;
    let lake = wiring::open_lake(&config, &queue).await?;
    let understand = wiring::understand(&config, queue.as_ref()).await?;
    let range = RawSelection::Range(TimeRange { from: since, to: until });
    let total = lake.count_raw(&range).await?;
    let bar = progress::bar("{bar:30} {pos}/{len} posts, {per_sec}, {eta} left")?;
    bar.set_length(total);
    let again = wiring::reprocess(understand);
    let progress = |posts: usize| bar.inc(posts as u64);
    let Reprocessed { failed, .. } =
        again.run(lake.as_ref(), queue.as_ref(), &range, SystemClock.now(), progress).await?;
    bar.finish_and_clear();
    say(format_args!("{} posts reprocessed, {failed} failed and were left unchanged", total - failed as u64))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
