//! `overheard restore`: a backup into an empty data folder.

use crate::Global;
use crate::agreement;
use crate::backups::{self, Manifest};
use crate::config::Config;
use crate::house;
use crate::output::say;
use anyhow::{Context, Result, bail};
use domain::{Analytics, PostQueue, QueryLimits};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bring a backup back into an empty data folder, and check it.
///
/// Every file is compared with its checksum. Posts that were accepted after the backup was made are not in it: bring them
/// in again, those that are there are kept out. Do not start the original again beside it: both would fetch from the same
/// sources.
///
/// overheard restore /mnt/backup/overheard --data new-folder
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Folder of the backup.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    let Some(manifest) = Manifest::read(&args.folder)? else {
        bail!("there is no backup in {} (no manifest.json)", args.folder.display());
    };
    let marker = config.data.join(house::RESTORE_MARKER);
    if !marker.exists() && std::fs::read_dir(&config.data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name an empty folder with --data", config.data.display());
    }
    std::fs::create_dir_all(&config.data).with_context(|| format!("make the folder {}", config.data.display()))?;
    File::create(&marker).and_then(|file| file.sync_all()).context("mark the folder")?;
    backups::sync_folder(&config.data)?;
    let (from, to, files) = (args.folder.clone(), config.data.clone(), manifest.clone());
    tokio::task::spawn_blocking(move || copy_back(&files, &from, &to)).await??;
    std::fs::remove_file(&marker)?;
    backups::sync_folder(&config.data)?;
    check(&config, &manifest).await?;
    Ok(ExitCode::SUCCESS)
}

fn copy_back(manifest: &Manifest, backup: &Path, data: &Path) -> Result<()> {
    let total = manifest.files.iter().map(|entry| entry.size_bytes).sum();
    let template = "restoring {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(total).with_style(ProgressStyle::with_template(template)?);
    for entry in &manifest.files {
        let (from, to) = (backup.join(&entry.path), data.join(&entry.home));
        let copied = backups::copy(&from, &to, |bytes| bar.inc(bytes));
        let (size_bytes, sha256) = copied.with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        if (size_bytes, &sha256) != (entry.size_bytes, &entry.sha256) {
            bail!("{} is damaged: it is not what was backed up", from.display());
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Opens what was restored and says what is in it.
async fn check(config: &Config, manifest: &Manifest) -> Result<()> {
    let queue = house::open_queue(config)?;
    let lake = agreement::open_lake(config, &queue).await.context("open what was restored")?;
    let counted = lake.query("SELECT count(*) FROM raw", QueryLimits::default()).await?;
    let posts = counted.rows.first().and_then(|row| row.first()?.as_u64()).unwrap_or(0);
    if manifest.posts.is_some_and(|expected| expected != posts) {
        bail!("the restored lake has {posts} posts, the backup had {}", manifest.posts.unwrap_or(0));
    }
    let waiting = queue.depth().await?.waiting;
    say(format_args!(
        "{}: {} posts in the lake, {} waiting to be understood, as of {}",
        config.data.display(),
        HumanCount(posts),
        HumanCount(waiting),
        manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    ))
}
