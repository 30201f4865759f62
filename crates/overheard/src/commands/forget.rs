//! `overheard forget`: delete posts and everything that was kept of them.

use crate::Global;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use runtime::forget::request::{Found, Request};
use runtime::wiring;
use state::BlockedAuthors;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Delete posts for good, with every copy of their words: in the lake, in anomalies, alerts, notifications, dead letters
/// and corrections. They are never taken in again, whoever brings them.
///
/// Shows first what it would delete, and asks. docs/deletion.md says what goes within which time.
///
/// overheard forget --author someone --and-block
/// overheard forget --post x:1790000000000000000
/// overheard forget --query '"a leaked number"' --dry-run
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A post by its id, platform:native_id; repeat for more.
    #[arg(long, value_name = "ID")]
    post: Vec<String>,
    /// All posts of an author: user name or id.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only the author of that name on this platform.
    #[arg(long, requires = "author")]
    platform: Option<String>,
    /// All posts that match a query, as topics have it.
    #[arg(long)]
    query: Option<String>,
    /// Also refuse the author's posts from now on.
    #[arg(long, requires = "author")]
    and_block: bool,
    /// Only show what would be deleted.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    /// List the authors whose posts are refused.
    #[arg(long, conflicts_with_all = ["post", "author", "query", "unblock"])]
    blocked: bool,
    /// Take the posts of this author again; the name as --blocked shows it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["post", "author", "query"])]
    unblock: Option<String>,
}

/// Ids that are shown before somebody confirms.
const SHOWN: usize = 10;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    let blocked = BlockedAuthors::new(queue.as_ref());
    if args.blocked {
        for author in blocked.keys().await? {
            say(author)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(author) = &args.unblock {
        let was_blocked = blocked.remove(author).await?;
        say(if was_blocked { "unblocked" } else { "nobody of this name is blocked; --blocked lists them" })?;
        return Ok(if was_blocked { ExitCode::SUCCESS } else { ExitCode::from(3) });
    }
    let lake = match args.dry_run {
        true => wiring::open_lake_read_only(&config).await?,
        false => wiring::open_lake(&config, &queue).await?,
    };
    let Args { post: posts, author, platform, query, and_block, .. } = args;
    let request = Request { posts, author, platform, query, and_block };
    let found = request.find(&lake).await?;
    show(&found)?;
    if args.dry_run || !(args.yes || confirmed(&found)?) {
        say("nothing was deleted")?;
        return Ok(if args.dry_run { ExitCode::SUCCESS } else { ExitCode::from(3) });
    }
    let bar = progress::count("posts")?;
    bar.set_length(found.posts.len() as u64);
    let cleared = request.carry_out(&found, &queue, &lake, true, |count| bar.inc(count as u64)).await?;
    bar.finish_and_clear();
    let cleared = cleared.unwrap_or_default();
    say(format_args!("deleted from the lake      {} posts", found.posts.len()))?;
    say(format_args!("cleared of them            {} anomalies", cleared.anomalies))?;
    say(format_args!("                           {} alerts and notifications", cleared.documents))?;
    say(format_args!(
        "deleted                    {} dead letters, {} corrections",
        cleared.dead_letters, cleared.labels
    ))?;
    if request.and_block {
        say("refused from now on        posts of this author")?;
    }
    say("replaced data files are removed from the disk within three hours, while `overheard up` runs")?;
    Ok(ExitCode::SUCCESS)
}

fn show(found: &Found) -> Result<()> {
    let (count, reposts) = (found.posts.len(), found.reposts);
    say(format_args!("{count} posts, {reposts} of them reposts by others"))?;
    for id in found.posts.iter().take(SHOWN) {
        say(format_args!("  {id}"))?;
    }
    if count > SHOWN {
        say(format_args!("  … and {} more", count - SHOWN))?;
    }
    Ok(())
}

fn confirmed(found: &Found) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        say("--yes deletes without asking")?;
        return Ok(false);
    }
    let mut out = std::io::stdout();
    write!(out, "Delete {} posts for good? Type yes: ", found.posts.len())?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
