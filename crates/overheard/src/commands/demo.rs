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

/// Run Overheard on bundled sample data: two weeks of posts, then live posts
///
/// The sample is synthetic: posts in nine languages about three fictional companies, with three planted
/// incidents. The demo needs no account and no network. Its data is in the folder `overheard-demo`;
/// delete the folder to start again.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard demo
  overheard demo --days 3 --no-open       a shorter history, without opening a browser"#
)]
pub(crate) struct Args {
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Days of history to replay on the first start. The incidents are 6 days, 3 days and 3 hours ago.
    #[arg(long, default_value_t = HISTORY_DAYS, value_parser = clap::value_parser!(i64).range(1..=HISTORY_DAYS))]
    days: i64,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let folder = global.data.clone().unwrap_or_else(|| PathBuf::from("overheard-demo"));
    let mut config = Config::load(global.config.as_deref(), Some(&folder))?;
    let queue = wiring::open_queue(&config)?;
    let feed = Feed::open(args.days, queue.clone(), queue.clone(), clock()).await?;
    prepare(&mut config, queue.as_ref(), feed.sample(), &folder).await?;
    say("Overheard demo: synthetic posts about three fictional companies.")?;
    Box::pin(up::run_roles(config, Roles::all(), queue, Some(feed), !args.no_open)).await
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
