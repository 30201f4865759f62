//! `overheard repair`: repairs what `overheard check` finds, and keeps the files that it removes.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::{Context, Result, bail};
use domain::{Clock, RawPosts, RawSelection, SystemClock};
use lake::{Lake, Repaired};
use queue::Embedded;
use runtime::{Config, wiring};
use std::process::ExitCode;
use std::sync::Arc;

/// Repair what `overheard check` finds; replaced files are kept in quarantine
///
/// Torn log entries and checkpoints, and missing or unreadable data files, are removed from the lake;
/// missing rows of the tables sentiment, entities and key_phrases are rebuilt from `raw`. Removed files
/// are moved to DATA/quarantine/TIME. Stop `overheard up` first. Exit code 3 if rows are lost that only
/// a backup can restore. See docs/recovery.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard repair --dry-run    show the steps
  overheard repair              repair
  overheard repair --expire     apply a retention that was refused, after checking the clock"#
)]
pub(crate) struct Args {
    /// Show the steps without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Confirm that the clock is right and delete days beyond `lake.retention_days`.
    #[arg(long, conflicts_with = "dry_run")]
    expire: bool,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let location = wiring::lake_location(&config)?;
    if !location.holds_a_lake().await? {
        bail!("no lake in {location}; pass the data folder with --data");
    }
    let queue = wiring::open_existing_queue(&config)?;
    if !queue.is_lender().await? {
        bail!("another process uses {}; stop `overheard up` or the import first", config.data.display());
    }
    let now = SystemClock.now();
    let quarantine = config.data.join("quarantine").join(now.format("%Y-%m-%dT%H-%M-%SZ").to_string());
    let repaired = lake::repair(&location, &quarantine.join("lake"), &queue.partitions(), now, args.dry_run).await?;
    for (table, file, did) in &repaired.steps {
        let file = if file.is_empty() { String::new() } else { format!("{file}: ") };
        say(format_args!("{table:<12} {file}{did}"))?;
    }
    if quarantine.exists() {
        say(format_args!("removed files are in {}", quarantine.display()))?;
    }
    if args.dry_run {
        say(format_args!("{} steps; nothing was changed", repaired.steps.len()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if repaired.lost && lake_is_lost(&config).await {
        return Ok(ExitCode::from(3));
    }
    let lake = wiring::open_lake(&config, &queue).await?;
    let again = understand_again(&config, &queue, &lake, &repaired).await?;
    if args.expire {
        lake.confirm_expiry(now).await?;
        let done = lake.maintain(now).await?;
        say(format_args!("{} files beyond the retention removed", done.files_expired))?;
    }
    say(format_args!("{} steps, {again} posts reprocessed", repaired.steps.len()))?;
    Ok(if repaired.lost { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

/// Whether the lake can't be opened in spite of the repair.
async fn lake_is_lost(config: &Config) -> bool {
    wiring::open_lake_read_only(config).await.is_err()
}

/// Writes anew what the derived tables lack: the days that lost rows, and posts that are in `raw` only.
async fn understand_again(config: &Config, queue: &Arc<Embedded>, lake: &Lake, repaired: &Repaired) -> Result<usize> {
    let days = RawSelection::Days(repaired.days.iter().filter_map(|day| day.parse().ok()).collect());
    let mut done = 0;
    for wanted in [days, RawSelection::NotEnriched] {
        done += understand_selected(config, queue, lake, &wanted).await?;
    }
    Ok(done)
}

async fn understand_selected(
    config: &Config,
    queue: &Arc<Embedded>,
    lake: &Lake,
    wanted: &RawSelection,
) -> Result<usize> {
    let total = lake.count_raw(wanted).await?;
    if total == 0 {
        return Ok(0);
    }
    let understand = wiring::understand(config, queue.as_ref()).await?;
    let bar = progress::count("posts")?;
    bar.set_length(total);
    let again = wiring::reprocess(understand);
    let progress = |posts: usize| bar.inc(posts as u64);
    let written = again.run(lake, queue.as_ref(), wanted, SystemClock.now(), progress).await.context(
        "posts were not rewritten. If a batch was in progress: start `overheard up` to finish it, stop it, and run \
         `overheard repair` again",
    )?;
    bar.finish_and_clear();
    Ok(written.done)
}
