//! `overheard repair`: mends what `overheard check` finds, as far as it can be mended, and keeps what it takes out.

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

/// Mend what `overheard check` finds. Log entries and checkpoints that are torn, and data files that are missing or can't
/// be read, are taken out of the lake; the tables sentiment, entities and key_phrases get what they lack from `raw`.
/// Nothing is deleted: what is taken out lies in DATA/quarantine/TIME. Stop `overheard up` first.
/// Exit code 3 when rows are lost that only a backup can bring back.
///
/// overheard repair --dry-run    what it would do
/// overheard repair              do it
/// overheard repair --expire     let the retention delete what it refused to (the clock was found to be right)
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Confirm that the clock is right, and delete the days beyond `lake.retention_days`.
    #[arg(long, conflicts_with = "dry_run")]
    expire: bool,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let location = wiring::lake_location(&config)?;
    if !location.holds_a_lake().await? {
        bail!("there is no lake in {location}; name the folder with --data");
    }
    let queue = wiring::open_queue(&config)?;
    if !queue.is_lender().await? {
        bail!("another process works on {}: stop `overheard up` (or the import) first", config.data.display());
    }
    let now = SystemClock.now();
    let quarantine = config.data.join("quarantine").join(now.format("%Y-%m-%dT%H-%M-%SZ").to_string());
    let repaired = lake::repair(&location, &quarantine.join("lake"), &queue.partitions(), now, args.dry_run).await?;
    for (table, file, did) in &repaired.steps {
        let file = if file.is_empty() { String::new() } else { format!("{file}: ") };
        say(format_args!("{table:<12} {file}{did}"))?;
    }
    if quarantine.exists() {
        say(format_args!("what was taken out lies in {}", quarantine.display()))?;
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
        say(format_args!("{} files beyond the retention taken out", done.files_expired))?;
    }
    say(format_args!("{} steps, {again} posts understood again", repaired.steps.len()))?;
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
        "posts were not written again. If a batch was under way: start `overheard up`, which finishes it, stop it and run \
         `overheard repair` again",
    )?;
    bar.finish_and_clear();
    Ok(written.done)
}
