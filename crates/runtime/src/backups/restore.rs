//! Restores a backup into an empty data folder, and checks it.

use super::files::{checksum, copy, sync_folder};
use super::{Manifest, Progress};
use crate::config::{Config, LAKE_CACHE};
use crate::{agreement, wiring};
use anyhow::{Context, Result, bail};
use domain::PostQueue;
use lake::{Location, TableName};
use std::fs::File;
use std::path::Path;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub manifest: Manifest,
    /// Posts in the lake.
    pub posts: u64,
    /// Posts that wait in the queue.
    pub waiting: u64,
}

/// Copies a backup into the empty data folder and opens it. Cut short, it is done again by the same call.
pub async fn restore(config: &Config, folder: &Path, progress: Progress) -> Result<Restored> {
    let Some(manifest) = Manifest::read(folder)? else {
        bail!(
            "no backup in {} (manifest.json is missing); pass the folder that `overheard backup` wrote",
            folder.display()
        );
    };
    let marker = config.data.join(wiring::RESTORE_MARKER);
    let lake = wiring::lake_location(config)?;
    if !marker.exists() {
        let mut entries = std::fs::read_dir(&config.data).into_iter().flatten().flatten();
        if entries.any(|entry| entry.file_name() != LAKE_CACHE) {
            bail!("{} is not empty; pass an empty folder with --data", config.data.display());
        }
        if lake.holds_a_lake().await? {
            bail!("{lake} already contains a lake; set lake.url to an empty prefix");
        }
        if let Some(shared) = wiring::shared_documents(config)?
            && !shared.all().await.context("read the documents of state.url")?.is_empty()
        {
            bail!("there are documents in {}; set state.url to an empty prefix", config.state.url);
        }
    }
    std::fs::create_dir_all(&config.data).with_context(|| format!("make the folder {}", config.data.display()))?;
    File::create(&marker).and_then(|file| file.sync_all()).context("mark the folder")?;
    sync_folder(&config.data)?;
    let (from, to, files) = (folder.to_path_buf(), config.data.clone(), manifest.clone());
    tokio::task::spawn_blocking(move || copy_back(&files, &from, &to, &lake, &progress)).await??;
    if let Some(shared) = wiring::shared_documents(config)? {
        let documents = queue::documents_in(&config.data.join("overheard.db"))?;
        if !shared.fill(documents).await.context("write the documents to state.url")? {
            bail!("there are documents in {}; set state.url to an empty prefix", config.state.url);
        }
    }
    std::fs::remove_file(&marker)?;
    sync_folder(&config.data)?;
    check(config, manifest).await
}

fn copy_back(manifest: &Manifest, backup: &Path, data: &Path, lake: &Location, progress: &Progress) -> Result<()> {
    let total = manifest.files.iter().map(|entry| entry.size_bytes).sum();
    let mut done = 0;
    for entry in &manifest.files {
        let (from, to) = (backup.join(&entry.path), data.join(&entry.home));
        let copied = match entry.home.strip_prefix("lake").ok().filter(|_| lake.as_folder().is_none()) {
            Some(name) => upload(&from, lake, &name.to_string_lossy()),
            None => File::open(&from).and_then(|file| copy(file, &to)).map_err(Into::into),
        };
        let (size_bytes, sha256) = copied.with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        if (size_bytes, &sha256) != (entry.size_bytes, &entry.sha256) {
            bail!("{} is damaged: it is not what was backed up", from.display());
        }
        done += size_bytes;
        progress(done, total);
    }
    Ok(())
}

/// Puts a file of the backup into the lake's bucket.
fn upload(from: &Path, lake: &Location, name: &str) -> Result<(u64, String)> {
    lake.write(name, std::fs::read(from)?)?;
    Ok(checksum(from)?)
}

/// Opens what was restored and counts it.
async fn check(config: &Config, manifest: Manifest) -> Result<Restored> {
    let queue = wiring::open_queue(config)?;
    let lake = agreement::open_lake(config, &queue).await.context("open what was restored")?;
    let posts = lake.count_rows(TableName::Raw).await?;
    if manifest.posts.is_some_and(|expected| expected != posts) {
        bail!("the restored lake has {posts} posts, the backup had {}", manifest.posts.unwrap_or(0));
    }
    Ok(Restored { manifest, posts, waiting: queue.depth().await?.waiting })
}
