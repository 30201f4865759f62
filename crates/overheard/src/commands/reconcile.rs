//! `overheard reconcile`: makes queue and lake agree after one of them was lost or restored.

use crate::Global;
use crate::output::say;
use anyhow::{Result, bail};
use indicatif::HumanCount;
use runtime::agreement::{self, Agreement};
use runtime::wiring;
use std::process::ExitCode;

/// Accept the lake as it is, after it was lost or restored from an older copy
///
/// `overheard up` refuses to start if the lake lacks posts that it had confirmed, because the usual
/// reason is an unmounted disk. This command accepts the loss. Posts that are no longer in the lake can
/// then be ingested again: import the files once more; sources fill gaps as far as they can. The lake
/// is not changed, and posts waiting in the queue are kept.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard reconcile"#
)]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_existing_queue(&config)?;
    if !queue.is_lender().await? {
        bail!("another process writes to this lake; stop it first");
    }
    let lake = wiring::open_lake(&config, &queue).await?;
    let why = match agreement::compare(&queue.standing().await?, &lake).await? {
        Agreement::Agree => {
            say("queue and lake are consistent; nothing to do")?;
            return Ok(ExitCode::SUCCESS);
        }
        Agreement::QueueIsBehind(why) | Agreement::LakeIsBehind(why) => why,
    };
    say(format_args!("found: {why}"))?;
    let rebuilt = agreement::rebuild(&queue, &lake).await?;
    say(format_args!(
        "queue and lake are consistent now: {} known posts, {} waiting posts were already in the lake",
        HumanCount(rebuilt.posts),
        HumanCount(rebuilt.dropped),
    ))?;
    Ok(ExitCode::SUCCESS)
}
