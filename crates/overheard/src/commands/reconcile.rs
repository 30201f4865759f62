//! `overheard reconcile`: makes queue and lake agree after one of them was lost or restored.

use crate::Global;
use crate::output::say;
use anyhow::{Result, bail};
use indicatif::HumanCount;
use runtime::agreement::{self, Agreement};
use runtime::wiring;
use std::process::ExitCode;

/// Accept the lake as it is, after it was lost or restored from an older copy.
///
/// Posts that are no longer in the lake can be brought in again afterwards (import the files once more; sources fill their
/// gaps as far as they can). Nothing in the lake is changed. What waits in the queue is kept.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

pub(crate) async fn run(global: &Global, _: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    if !queue.is_lender().await? {
        bail!("another process carries posts into this lake; stop it first");
    }
    let lake = wiring::open_lake(&config, &queue).await?;
    let why = match agreement::compare(&queue.standing().await?, &lake).await? {
        Agreement::Agree => {
            say("queue and lake agree; there is nothing to do")?;
            return Ok(ExitCode::SUCCESS);
        }
        Agreement::QueueIsBehind(why) | Agreement::LakeIsBehind(why) => why,
    };
    say(format_args!("found: {why}"))?;
    let rebuilt = agreement::rebuild(&queue, &lake).await?;
    say(format_args!(
        "queue and lake agree now: {} posts are known, {} waiting ones were in the lake already",
        HumanCount(rebuilt.posts),
        HumanCount(rebuilt.dropped),
    ))?;
    Ok(ExitCode::SUCCESS)
}
