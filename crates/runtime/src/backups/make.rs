//! Makes a backup of an installation, while it runs.
//!
//! The database is copied first and the lake after it. So the lake's copy holds everything that the database's copy takes
//! for stored. What came into the lake in between is found when the backup is restored (see `agreement`). What was
//! accepted in between and is in neither copy is unknown to both, so it can be ingested again.

use super::files::{checksum, copy, files_below, sync_folder};
use super::{Entry, FORMAT, Manifest, Progress};
use crate::clock::clock;
use crate::config::Config;
use crate::wiring;
use anyhow::{Context, Result, bail};
use lake::{Contents, Location, Snapshot};
use queue::Standing;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the lake is read again when its files are removed by maintenance while they are copied.
const TRIES_MAX: usize = 5;
/// Files of the lake beside its tables: the queue that writes to it, its format, the retention that was last applied.
const SMALL_FILES: [&str; 3] = ["queue.id", "lake.json", "retention.json"];

/// Copies the installation into `folder`. Only what is new is copied. When it is cut short, the former backup stays.
pub async fn make(config: &Config, folder: &Path, progress: Progress) -> Result<Manifest> {
    if !config.data.join("overheard.db").is_file() {
        bail!("no installation in {}; pass the data folder with --data", config.data.display());
    }
    let backup = std::path::absolute(folder)?;
    if backup.starts_with(std::path::absolute(&config.data)?) {
        bail!("the backup folder must be outside of the data folder {}", config.data.display());
    }
    let former = prepare(&backup)?;
    let made_at = clock().now();
    let snapshot = format!("snapshot-{}", made_at.format("%Y%m%dT%H%M%S%6f"));
    std::fs::create_dir_all(backup.join(&snapshot))?;
    let database = PathBuf::from(&snapshot).join("overheard.db");
    let standing = copy_database(config, &backup.join(&database)).await?;
    let known = former.into_iter().flat_map(|manifest| manifest.files).map(|entry| (entry.path.clone(), entry));
    let target = Target { backup: backup.clone(), snapshot: snapshot.clone().into(), known: known.collect(), progress };
    let (mut files, posts) = copy_lake(config, &standing, Arc::new(target)).await?;
    let (size_bytes, sha256) = checksum(&backup.join(&database))?;
    files.push(Entry { path: database, home: "overheard.db".into(), size_bytes, sha256 });
    let version = env!("CARGO_PKG_VERSION").into();
    let manifest = Manifest { format: FORMAT, made_at, version, snapshot, posts, files };
    sync_folder(&backup)?;
    manifest.write(&backup)?;
    tidy(&backup, &manifest)?;
    Ok(manifest)
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

/// Copies the queue and the documents. Returns where the queue stood before; the copy has at least that. Documents in a
/// bucket are read first: a cursor that is older than the queue brings posts twice, and the queue takes them once.
async fn copy_database(config: &Config, to: &Path) -> Result<Vec<Standing>> {
    let documents = match wiring::shared_documents(config)? {
        Some(shared) => Some(shared.all().await.context("read the documents of state.url")?),
        None => None,
    };
    let queue = wiring::open_queue(config)?;
    let standing = queue.standing().await?;
    queue.copy_to(to).await?;
    if let Some(documents) = documents {
        queue::replace_documents(to, &documents)?;
    }
    Ok(standing)
}

/// Copies the lake as of one moment; returns its files and the posts in it.
async fn copy_lake(config: &Config, standing: &[Standing], target: Arc<Target>) -> Result<(Vec<Entry>, Option<u64>)> {
    if !wiring::lake_location(config)?.holds_a_lake().await? {
        return Ok((Vec::new(), Some(0)));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match copy_tables(config, standing, target.clone()).await {
            Err(error) if tries == TRIES_MAX => return Err(error.context("copy the lake")),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the lake changed while it was copied"),
            Ok(copied) => return Ok(copied),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn copy_tables(config: &Config, standing: &[Standing], target: Arc<Target>) -> Result<(Vec<Entry>, Option<u64>)> {
    let lake = wiring::open_lake_read_only(config).await?;
    let replayed: Vec<_> = standing.iter().map(|part| (part.partition.clone(), part.last_offset)).collect();
    let Snapshot { tables, .. } = lake.snapshot(&replayed).await?;
    let posts = tables.first().and_then(|raw| raw.files.iter().map(|file| file.rows).sum());
    let entries = tokio::task::spawn_blocking(move || target.copy(lake.root(), &tables)).await?;
    Ok((entries?, posts))
}

/// Where the lake's files are copied to.
struct Target {
    backup: PathBuf,
    snapshot: PathBuf,
    /// What the former backup has.
    known: HashMap<PathBuf, Entry>,
    progress: Progress,
}

impl Target {
    fn copy(&self, lake: &Location, tables: &[Contents]) -> Result<Vec<Entry>> {
        // The logs first: their entries are removed sooner than data files.
        let mut entries = Vec::new();
        for table in tables {
            self.copy_log(table, lake, &mut entries)?;
        }
        let total = tables.iter().flat_map(|table| &table.files).map(|file| file.size_bytes).sum();
        let mut done = 0;
        for table in tables {
            for file in &table.files {
                let below = Path::new(table.table.as_str()).join(&file.path);
                let path = Path::new("lake").join(&below);
                let is_there =
                    std::fs::metadata(self.backup.join(&path)).is_ok_and(|there| there.len() == file.size_bytes);
                let entry = match self.known.get(&path).filter(|_| is_there) {
                    Some(entry) => entry.clone(),
                    None => self.copy_one(lake.open(&below.to_string_lossy())?, path.clone(), path)?,
                };
                done += entry.size_bytes;
                (self.progress)(done, total);
                entries.push(entry);
            }
        }
        for name in SMALL_FILES {
            let Some(content) = lake.read(name)? else { continue };
            let home = Path::new("lake").join(name);
            entries.push(self.copy_one(content.as_ref(), self.snapshot.join(name), home)?);
        }
        Ok(entries)
    }

    fn copy_log(&self, table: &Contents, lake: &Location, entries: &mut Vec<Entry>) -> Result<()> {
        let log = Path::new(table.table.as_str()).join("_delta_log");
        for name in table.log_files(lake)? {
            let home = Path::new("lake").join(&log).join(&name);
            let from = log.join(&name);
            let content = lake.read(&from.to_string_lossy())?.context("an entry of the log was removed")?;
            entries.push(self.copy_one(content.as_ref(), self.snapshot.join(&log).join(&name), home)?);
        }
        Ok(())
    }

    /// Copies a file into the backup and reads the copy back.
    fn copy_one(&self, from: impl Read, path: PathBuf, home: PathBuf) -> Result<Entry> {
        let to = self.backup.join(&path);
        let failed = || format!("copy {} to {}", home.display(), to.display());
        let (size_bytes, sha256) = copy(from, &to).with_context(failed)?;
        if checksum(&to).with_context(failed)? != (size_bytes, sha256.clone()) {
            bail!("{} was not written as it was read: is the disk sound?", to.display());
        }
        Ok(Entry { path, home, size_bytes, sha256 })
    }
}

/// Removes what belonged to former backups alone.
fn tidy(backup: &Path, manifest: &Manifest) -> Result<()> {
    let wanted: HashSet<&Path> = manifest.files.iter().map(|entry| entry.path.as_path()).collect();
    for path in files_below(backup)? {
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
