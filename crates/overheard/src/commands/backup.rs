//! `overheard backup`: the whole installation into a folder, while it runs.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use runtime::backups;
use std::path::PathBuf;
use std::process::ExitCode;

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

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let (bar, show) = progress::bytes("copying")?;
    let manifest = backups::make(&config, &args.folder, show).await?;
    bar.finish_and_clear();
    let size: u64 = manifest.files.iter().map(|entry| entry.size_bytes).sum();
    say(format_args!(
        "{}: {} posts in the lake, {} files, {}, as of {}",
        args.folder.display(),
        HumanCount(manifest.posts.unwrap_or(0)),
        HumanCount(manifest.files.len() as u64),
        HumanBytes(size),
        manifest.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
    ))?;
    Ok(ExitCode::SUCCESS)
}
