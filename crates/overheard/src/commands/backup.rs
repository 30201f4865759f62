//! `overheard backup`: the whole installation into a folder, while it runs.
//!
//! The database is copied first and the lake after it. So the lake's copy holds everything that the database's copy takes
//! for stored; what came into the lake in between is found when the backup is restored (see `agreement`), and what was
//! accepted in between and is in neither copy is unknown to both, so it can be brought in again.

use crate::Global;
use crate::backups::{self, Entry, FORMAT, Manifest};
use crate::config::Config;
use crate::house;
use crate::output::say;
use anyhow::{Context, Result, bail};
use domain::{Clock, SystemClock};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use lake::{Contents, Lake, Snapshot};
use queue::Standing;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Copy the whole installation (queue, users, topics, rules, alerts, lake) to a folder, while it runs.
///
/// The same folder again: only what is new is copied, and the backup becomes that of now; when it is cut short, the former
/// backup stays. Every copy is read back and compared. The folder holds secrets (sessions, tokens): keep it as you keep the
/// data folder. It is a folder on a mounted disk; object storage is not supported.
///
/// overheard backup /mnt/backup/overheard
/// overheard restore /mnt/backup/overheard --data new-folder
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Folder of the backup; made when it isn't there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// How often the lake is looked at again when its files are tidied away while they are copied.
const TRIES_MAX: usize = 5;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    if !config.data.join("overheard.db").is_file() {
        bail!("there is no installation in {}", config.data.display());
    }
    let backup = std::path::absolute(&args.folder)?;
    if backup.starts_with(std::path::absolute(&config.data)?) {
        bail!("the backup must lie outside of the data folder {}", config.data.display());
    }
    let former = prepare(&backup)?;
    let made_at = SystemClock.now();
    let snapshot = format!("snapshot-{}", made_at.format("%Y%m%dT%H%M%S%6f"));
    std::fs::create_dir_all(backup.join(&snapshot))?;
    let standing = copy_database(&config, &backup.join(&snapshot).join("overheard.db")).await?;
    let (mut files, posts) = copy_lake(&config, &standing, &backup, &snapshot, former.as_ref()).await?;
    let database = PathBuf::from(&snapshot).join("overheard.db");
    let (size_bytes, sha256) = backups::checksum(&backup.join(&database))?;
    files.push(Entry { path: database, home: "overheard.db".into(), size_bytes, sha256 });
    let manifest = Manifest { format: FORMAT, made_at, version: version(), snapshot, posts, files };
    backups::sync_folder(&backup)?;
    manifest.write(&backup)?;
    tidy(&backup, &manifest)?;
    let size: u64 = manifest.files.iter().map(|entry| entry.size_bytes).sum();
    say(format_args!(
        "{}: {} posts in the lake, {} files, {}, as of {}",
        args.folder.display(),
        HumanCount(manifest.posts.unwrap_or(0)),
        HumanCount(manifest.files.len() as u64),
        HumanBytes(size),
        made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Makes the folder, or finds the backup that is there.
fn prepare(backup: &Path) -> Result<Option<Manifest>> {
    std::fs::create_dir_all(backup).with_context(|| format!("make the folder {}", backup.display()))?;
    let former = Manifest::read(backup)?;
    for entry in std::fs::read_dir(backup)?.filter(|_| former.is_none()) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !(name == "lake" || name.starts_with("snapshot-") || name.starts_with("manifest.json")) {
            bail!("{} holds something else than a backup ({name}); name an empty folder", backup.display());
        }
    }
    Ok(former)
}

/// Returns where the queue stood before; the copy has at least that.
async fn copy_database(config: &Config, to: &Path) -> Result<Standing> {
    let queue = house::open_queue(config)?;
    let standing = queue.standing().await?;
    queue.copy_to(to).await?;
    Ok(standing)
}

/// Copies the lake as of one moment; returns its files and the posts in it.
async fn copy_lake(
    config: &Config,
    standing: &Standing,
    backup: &Path,
    snapshot: &str,
    former: Option<&Manifest>,
) -> Result<(Vec<Entry>, Option<u64>)> {
    if !config.data.join("lake").exists() {
        return Ok((Vec::new(), Some(0)));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let copied = match house::open_lake_read_only(config).await {
            Ok(lake) => copy_tables(lake, standing, backup, snapshot, former).await,
            Err(error) => Err(error),
        };
        match copied {
            Err(error) if tries == TRIES_MAX => return Err(error.context("copy the lake")),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the lake changed while it was copied"),
            Ok(copied) => return Ok(copied),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Files of the lake beside its tables: the queue that writes to it, its format, the retention that was last applied.
const SMALL_FILES: [&str; 3] = ["queue.id", "lake.json", "retention.json"];

async fn copy_tables(
    lake: Arc<Lake>,
    standing: &Standing,
    backup: &Path,
    snapshot: &str,
    former: Option<&Manifest>,
) -> Result<(Vec<Entry>, Option<u64>)> {
    let Snapshot { tables, .. } = lake.snapshot(&standing.identity, standing.last_offset).await?;
    let mut known: HashMap<PathBuf, Entry> = HashMap::new();
    for entry in former.into_iter().flat_map(|manifest| &manifest.files) {
        known.insert(entry.path.clone(), entry.clone());
    }
    let total: u64 = tables.iter().flat_map(|table| &table.files).map(|file| file.size_bytes).sum();
    let bar = ProgressBar::new(total).with_style(ProgressStyle::with_template(
        "copying {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )?);
    let posts = tables.first().and_then(|raw| raw.files.iter().map(|file| file.rows).sum());
    let (root, backup, snapshot) = (lake.root().to_path_buf(), backup.to_path_buf(), PathBuf::from(snapshot));
    let copying = tokio::task::spawn_blocking(move || -> Result<Vec<Entry>> {
        // The logs first: their entries are tidied away sooner than data files.
        let mut entries = Vec::new();
        for table in &tables {
            copy_log(table, &root, &backup, &snapshot, &mut entries)?;
        }
        for table in &tables {
            copy_data(table, &root, &backup, &known, &bar, &mut entries)?;
        }
        for name in SMALL_FILES.iter().filter(|name| root.join(name).is_file()) {
            let (path, home) = (snapshot.join(name), Path::new("lake").join(name));
            entries.push(copy_one(&root.join(name), &backup, path, home, &ProgressBar::hidden())?);
        }
        bar.finish_and_clear();
        Ok(entries)
    });
    let entries = copying.await?;
    Ok((entries?, posts))
}

fn copy_log(table: &Contents, lake: &Path, backup: &Path, snapshot: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    let log = Path::new(table.table.as_str()).join("_delta_log");
    for name in table.log_files(lake)? {
        let home = Path::new("lake").join(&log).join(&name);
        let from = lake.join(&log).join(&name);
        entries.push(copy_one(&from, backup, snapshot.join(&log).join(&name), home, &ProgressBar::hidden())?);
    }
    Ok(())
}

fn copy_data(
    table: &Contents,
    lake: &Path,
    backup: &Path,
    known: &HashMap<PathBuf, Entry>,
    bar: &ProgressBar,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    for file in &table.files {
        let below = Path::new(table.table.as_str()).join(&file.path);
        let path = Path::new("lake").join(&below);
        let is_there = std::fs::metadata(backup.join(&path)).is_ok_and(|there| there.len() == file.size_bytes);
        match known.get(&path).filter(|_| is_there) {
            Some(entry) => {
                bar.inc(entry.size_bytes);
                entries.push(entry.clone());
            }
            None => entries.push(copy_one(&lake.join(&below), backup, path.clone(), path, bar)?),
        }
    }
    Ok(())
}

/// Copies a file into the backup and reads the copy back.
fn copy_one(from: &Path, backup: &Path, path: PathBuf, home: PathBuf, bar: &ProgressBar) -> Result<Entry> {
    let to = backup.join(&path);
    let failed = || format!("copy {} to {}", from.display(), to.display());
    let (size_bytes, sha256) = backups::copy(from, &to, |bytes| bar.inc(bytes)).with_context(failed)?;
    if backups::checksum(&to).with_context(failed)? != (size_bytes, sha256.clone()) {
        bail!("{} was not written as it was read: is the disk sound?", to.display());
    }
    Ok(Entry { path, home, size_bytes, sha256 })
}

/// Removes what belonged to former backups alone.
fn tidy(backup: &Path, manifest: &Manifest) -> Result<()> {
    let wanted: HashSet<&Path> = manifest.files.iter().map(|entry| entry.path.as_path()).collect();
    for path in backups::files_below(backup)? {
        let is_ours = path.starts_with("lake") || path.iter().next().is_some_and(is_snapshot);
        if is_ours && !wanted.contains(path.as_path()) {
            std::fs::remove_file(backup.join(path))?;
        }
    }
    for entry in std::fs::read_dir(backup)? {
        let entry = entry?;
        if is_snapshot(&entry.file_name()) && entry.file_name() != manifest.snapshot.as_str() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn is_snapshot(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("snapshot-")
}
