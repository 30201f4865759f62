//! `overheard demo`: the whole program on the bundled sample.

use crate::Global;
use crate::commands::up;
use crate::output::say;
use anyhow::{Context, Result};
use domain::StateStore;
use runtime::{Config, Roles, clock, wiring};
use sources::sample::{CATEGORIES_TOML, Feed, HISTORY_DAYS, Sample};
use state::Topics;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run with the bundled sample: posts of our own making about three companies that do not exist, in nine languages,
/// with three planted incidents. Two weeks are replayed as fast as they can be understood, then it goes on live.
///
/// Needs nothing but the program; everything is kept in the folder `overheard-demo` (delete it to start anew).
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Days that are replayed at the first start; the incidents lie six days, three days and three hours back.
    #[arg(long, default_value_t = HISTORY_DAYS, value_parser = clap::value_parser!(i64).range(1..=HISTORY_DAYS))]
    days: i64,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let folder = global.data.clone().unwrap_or_else(|| PathBuf::from("overheard-demo"));
    let mut config = Config::load(global.config.as_deref(), Some(&folder))?;
    let queue = wiring::open_queue(&config)?;
    let feed = Feed::open(args.days, queue.clone(), queue.clone(), clock()).await?;
    prepare(&mut config, queue.as_ref(), feed.sample(), &folder).await?;
    say("Overheard demo: posts of our own making about three companies that do not exist.")?;
    up::run_roles(config, Roles::all(), queue, Some(feed), !args.no_open).await
}

async fn prepare(config: &mut Config, state: &dyn StateStore, sample: &Sample, folder: &Path) -> Result<()> {
    for topic in sample.topics() {
        Topics::new(state).save_new(topic).await?;
    }
    if config.understand.categories.is_empty() {
        let file = folder.join("categories.toml");
        if !file.exists() {
            std::fs::write(&file, CATEGORIES_TOML).with_context(|| format!("write {}", file.display()))?;
        }
        config.understand.categories = file.to_string_lossy().into_owned();
    }
    Ok(())
}
