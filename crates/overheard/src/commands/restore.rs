//! `overheard restore`: a backup into an empty data folder.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use indicatif::HumanCount;
use runtime::backups;
use std::path::PathBuf;
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
    let config = global.load()?;
    let (bar, show) = progress::bytes("restoring")?;
    let restored = backups::restore(&config, &args.folder, show).await?;
    bar.finish_and_clear();
    say(format_args!(
        "{}: {} posts in the lake, {} waiting to be understood, as of {}",
        config.data.display(),
        HumanCount(restored.posts),
        HumanCount(restored.waiting),
        restored.manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    ))?;
    Ok(ExitCode::SUCCESS)
}
