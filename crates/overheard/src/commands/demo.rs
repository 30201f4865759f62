//! `overheard demo`: the whole house on the bundled sample.

use crate::Global;
use crate::commands::up;
use crate::config::Config;
use crate::house;
use crate::output::say;
use anyhow::{Context, Result};
use chrono::Duration;
use domain::{Clock, PostQueue, Result as PortResult, StateStore, Timestamp};
use serde::{Deserialize, Serialize};
use sources::sample::{CATEGORIES_TOML, HISTORY_DAYS, Sample};
use state::{Cursor, Topics};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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

/// Posts appended at once while the two weeks are replayed.
const REPLAY_BATCH: usize = 1_000;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let folder = global.data.clone().unwrap_or_else(|| PathBuf::from("overheard-demo"));
    let mut config = Config::load(global.config.as_deref(), Some(&folder))?;
    let queue = house::open_queue(&config)?;
    let mut cursor = Cursor::load(queue.clone(), "sample").await?;
    let anchor = anchor(&mut cursor).await?;
    let sample = Sample::anchored(anchor)?;
    prepare(&mut config, queue.as_ref(), &sample, &folder).await?;
    say("Overheard demo: posts of our own making about three companies that do not exist.")?;
    let feed = Feed { sample, days: args.days, queue: queue.clone(), cursor, clock: house::clock() };
    up::run_house(config, up::Roles::all(), queue, Some(feed), !args.no_open).await
}

/// How far the sample was replayed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Position {
    /// The moment of the first start, the same at every later one.
    anchor: Timestamp,
    until: Option<Timestamp>,
}

async fn anchor(cursor: &mut Cursor<Position>) -> Result<Timestamp> {
    if let Some(position) = cursor.value() {
        return Ok(position.anchor);
    }
    let anchor = house::clock().now();
    cursor.save(Position { anchor, until: None }).await?;
    Ok(anchor)
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

/// Feeds the sample into the queue: all up to now, then second by second.
pub(crate) struct Feed {
    sample: Sample,
    days: i64,
    queue: Arc<queue::Embedded>,
    cursor: Cursor<Position>,
    clock: Arc<dyn Clock>,
}

impl Feed {
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> PortResult<()> {
        let until = self.cursor.value().and_then(|position| position.until);
        let mut from = until.unwrap_or_else(|| self.sample.begins() + Duration::days(HISTORY_DAYS - self.days));
        while !shutdown.is_cancelled() {
            // Half a day at a time while catching up, so that a stop never waits for two weeks.
            let to = self.clock.now().min(from + Duration::hours(12));
            let records = self.sample.between(from, to);
            for batch in records.chunks(REPLAY_BATCH) {
                self.queue.append(batch.to_vec()).await?;
            }
            from = to;
            let anchor = self.sample.anchor();
            self.cursor.save(Position { anchor, until: Some(from) }).await?;
            if self.clock.now() - from < Duration::seconds(1) {
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
        Ok(())
    }
}
