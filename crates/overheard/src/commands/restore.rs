//! `overheard restore`: a backup into an empty data folder.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use indicatif::HumanCount;
use runtime::backups;
use std::path::PathBuf;
use std::process::ExitCode;

/// Restore a backup into an empty data folder and verify it
///
/// Every file is compared with its checksum. Posts that were accepted after the backup was made are
/// missing: import them again; duplicates are ignored. Don't run the original installation beside the
/// restored one: both would read the same sources.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard restore /mnt/backup/overheard --data new-folder"#
)]
pub(crate) struct Args {
    /// Backup folder.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let (bar, show) = progress::bytes("restoring")?;
    let restored = backups::restore(&config, &args.folder, show).await?;
    bar.finish_and_clear();
    say(format_args!(
        "{}: {} posts in the lake, {} waiting in the queue, as of {}",
        config.data.display(),
        HumanCount(restored.posts),
        HumanCount(restored.waiting),
        restored.manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    ))?;
    Ok(ExitCode::SUCCESS)
}
