//! `overheard backup`: the whole installation into a folder, while it runs.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use runtime::backups;
use std::path::PathBuf;
use std::process::ExitCode;

/// Back up the whole installation to a folder, while it runs
///
/// Copies queue, users, topics, rules, alerts and the lake. Run it again with the same folder to copy
/// only new files; an interrupted run leaves the previous backup intact. Every copy is read back and
/// compared.
///
/// The backup contains secrets (sessions, tokens): protect it like the data folder. The target is a
/// folder on a mounted disk; object storage is not supported. See docs/backup.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard backup /mnt/backup/overheard
  overheard restore /mnt/backup/overheard --data new-folder"#
)]
pub(crate) struct Args {
    /// Backup folder; created if it doesn't exist.
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
