//! `overheard import`: posts from files into the queue, and on into the lake when no other process carries them.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::{Context, Result, bail};
use domain::PostQueue;
use indicatif::HumanCount;
use pipeline::Carry;
use queue::Embedded;
use runtime::Config;
use runtime::config::QueueEngine;
use runtime::forget::NotedTable;
use runtime::{agreement, clock, wiring};
use sources::file::{FileConfig, FileSource, Format, Pace, Progress, Report};
use sources::record::ColumnMapping;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Import posts from files: JSON, CSV, Excel, Parquet, archives of X and Mastodon
///
/// Reads X API v2 payloads, Mastodon statuses, Bluesky records, X archives, and the simple form: one
/// object per line with `id`, `text` and `created_at`, and optionally `username`, `user_location`,
/// `followers`, `lang`, `lat`, `lon`, `place`, `url`, `platform`, `repost_of` and `reach`. Files may be
/// gzipped.
///
/// Importing the same file again adds nothing. The summary lists unused fields, assumptions (such as a
/// missing time zone) and rejected records. Rejected records become dead letters, and the exit code is
/// 3. See docs/importing.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard import posts.jsonl
  overheard import reviews.csv --columns text=Review,created_at=Posted,username=User --platform reviews
  overheard import posts.jsonl --speed 60x --shift-to-now    replay in event time, an hour per minute
  zstd -dc posts.zst | overheard import -"#
)]
pub(crate) struct Args {
    /// Files to import; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Input format [default: detected from the content].
    #[arg(long, value_name = "jsonl|json|csv")]
    input: Option<String>,
    /// Platform of posts that don't name one [default: x, reported as an assumption].
    #[arg(long)]
    platform: Option<String>,
    /// Map columns, JSON keys or paths to fields: `text=Review,created_at=Posted on,username=user.0.name`.
    #[arg(long, default_value = "", value_name = "FIELD=COLUMN,...")]
    columns: String,
    /// CSV separator [default: detected].
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<char>,
    /// Replay in event time, this many times faster than real time [default: as fast as possible].
    #[arg(long, value_name = "60x")]
    speed: Option<Pace>,
    /// Shift all dates so that the last post is dated now.
    #[arg(long)]
    shift_to_now: bool,
    /// Check the files first; import nothing if a record would be rejected or a value assumed.
    #[arg(long)]
    strict: bool,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let files: Vec<FileConfig> = args.files.iter().map(|file| file_config(&args, file)).collect::<Result<_>>()?;
    let queue = wiring::open_queue(&config)?;
    if args.strict && !is_clear(&files, &queue).await? {
        return Ok(ExitCode::from(3));
    }
    let shutdown = CancellationToken::new();
    let mut carrying = Carrying { config: &config, queue: &queue, shutdown: shutdown.clone(), task: None };
    carrying.take_over().await?;
    let mut total = Report::default();
    let mut failed = Vec::new();
    for file in files {
        // One file that can't be read does not keep the others out.
        match read(file, queue.clone()).await {
            Ok(read) => total.add(read),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    wait_until_carried(&mut carrying).await?;
    shutdown.cancel();
    if let Some(task) = carrying.task {
        task.await.context("carry posts to the lake")??;
    }
    let code = report(&total)?;
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(code)
}

fn file_config(args: &Args, path: &PathBuf) -> Result<FileConfig> {
    if path.as_os_str() != "-" && !path.is_file() {
        bail!("file not found: {}", path.display());
    }
    let mut file = FileConfig::new(path);
    file.format = match args.input.as_deref() {
        None => None,
        Some("jsonl") => Some(Format::JsonLines),
        Some("json") => Some(Format::Json),
        Some("csv") => Some(Format::Csv),
        Some(other) => bail!("unknown --input {other:?} (use jsonl, json or csv)"),
    };
    file.delimiter = match args.delimiter {
        Some(character) => Some(u8::try_from(character).context("--delimiter must be an ASCII character")?),
        None => None,
    };
    file.platform = args.platform.clone().unwrap_or_default();
    file.columns = ColumnMapping::parse(&args.columns)?;
    file.pace = args.speed.unwrap_or(Pace::AsFastAsPossible);
    file.shift_to_now = args.shift_to_now;
    Ok(file)
}

/// The carrying stage, for an import that runs by itself.
async fn carry(config: &Config, queue: Arc<Embedded>) -> Result<Carry> {
    let understand = wiring::understand(config, queue.as_ref()).await?;
    let (committed, _) = broadcast::channel(1);
    let lake = Arc::new(NotedTable { lake: agreement::open_lake(config, &queue).await?, state: queue.clone() });
    let (config, clock, health) = (config.understand.carry(), clock(), Arc::default());
    Ok(Carry { config, queue, understand, lake, clock, committed, health })
}

/// Whether nothing in the files is doubtful; what is, is told.
async fn is_clear(files: &[FileConfig], queue: &Arc<Embedded>) -> Result<bool> {
    let mut total = Report::default();
    for file in files {
        let name = file.path.display().to_string();
        let source = FileSource::new(file.clone(), queue.clone(), clock());
        total.add(source.check().await.with_context(|| format!("check {name}"))?);
    }
    if total.summary.rejected == 0 && total.notes.guesses.is_empty() && total.broken.is_empty() {
        return Ok(true);
    }
    total.doubts().into_iter().try_for_each(say)?;
    say("nothing was imported (--strict)")?;
    Ok(false)
}

async fn read(file: FileConfig, queue: Arc<Embedded>) -> Result<Report> {
    let name = file.path.display().to_string();
    let bar = progress::bar("{prefix} {bar:30} {bytes}/{total_bytes} {msg}")?.with_prefix(name.clone());
    let mut recognised = None;
    let show = |progress: &Progress| {
        if progress.recognised != recognised {
            recognised = progress.recognised.clone();
            bar.suspend(|| say(recognised.as_deref().unwrap_or_default())).unwrap_or_default();
        }
        bar.set_length(progress.bytes_total.unwrap_or(progress.bytes));
        bar.set_position(progress.bytes);
        bar.set_message(format!("{} posts, {} rejected", HumanCount(progress.summary.read), progress.summary.rejected));
    };
    let source = FileSource::new(file, queue, clock());
    let read = source.run(show, CancellationToken::new()).await.with_context(|| format!("import {name}"))?;
    bar.finish_and_clear();
    Ok(read)
}

/// The carrying of what was read, by this process or by another.
struct Carrying<'a> {
    config: &'a Config,
    queue: &'a Arc<Embedded>,
    shutdown: CancellationToken,
    task: Option<JoinHandle<domain::Result<()>>>,
}

impl Carrying<'_> {
    /// Carries from now on when no other process does; one that did may have ended.
    async fn take_over(&mut self) -> Result<()> {
        if self.config.queue.engine != QueueEngine::Embedded {
            // The listener and its workers do.
            return Ok(());
        }
        if self.task.is_none() && self.queue.is_lender().await? {
            let carry = carry(self.config, self.queue.clone()).await?;
            self.task = Some(tokio::spawn(carry.run(self.shutdown.clone())));
        }
        Ok(())
    }
}

/// What was read is safe in the queue; this waits until it can be asked for.
async fn wait_until_carried(carrying: &mut Carrying<'_>) -> Result<()> {
    let bar = progress::bar("enriching {bar:30} {pos}/{len} posts, {per_sec}, {eta} left")?;
    loop {
        carrying.take_over().await?;
        let depth = carrying.queue.depth().await?;
        let left = depth.waiting + depth.in_flight;
        if left == 0 || carrying.task.as_ref().is_some_and(JoinHandle::is_finished) {
            bar.finish_and_clear();
            return Ok(());
        }
        bar.set_length(bar.length().unwrap_or(0).max(left));
        bar.set_position(bar.length().unwrap_or(left) - left);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn report(total: &Report) -> Result<ExitCode> {
    total.lines().into_iter().try_for_each(say)?;
    if total.summary.rejected > 0 {
        say("to see rejected records and the reasons: overheard dead-letters list")?;
    }
    Ok(match (total.broken.is_empty(), total.summary.rejected) {
        (false, _) => ExitCode::FAILURE,
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::from(3),
    })
}
