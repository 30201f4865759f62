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

/// Delete posts permanently, with every copy of their text: by id, author or query
///
/// Deletes posts from the lake, and removes them from anomalies, alerts, notifications, dead letters
/// and corrections. Deleted posts are not ingested again, whichever source sends them. Shows what would
/// be deleted and asks for confirmation. docs/deletion.md lists what is deleted and how soon.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard forget --author someone --dry-run
  overheard forget --author someone --and-block
  overheard forget --post x:1790000000000000000 --yes
  overheard forget --query '"a leaked number"'
  overheard forget --unblock someone"#
)]
pub(crate) struct Args {
    /// Id of a post (platform:native_id); may be repeated.
    #[arg(long, value_name = "ID")]
    post: Vec<String>,
    /// Delete all posts of this author (user name or id).
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Restrict --author to this platform.
    #[arg(long, requires = "author")]
    platform: Option<String>,
    /// Delete all posts that match this query (same syntax as topics).
    #[arg(long)]
    query: Option<String>,
    /// Also block the author: ignore future posts.
    #[arg(long, requires = "author")]
    and_block: bool,
    /// Show what would be deleted and exit.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Delete without asking for confirmation.
    #[arg(long)]
    yes: bool,
    /// List blocked authors.
    #[arg(long, conflicts_with_all = ["post", "author", "query", "unblock"])]
    blocked: bool,
    /// Unblock an author (the name that --blocked shows).
    #[arg(long, value_name = "NAME", conflicts_with_all = ["post", "author", "query"])]
    unblock: Option<String>,
}

/// Ids that are shown before somebody confirms.
const SHOWN: usize = 10;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_existing_queue(&config)?;
    let blocked = BlockedAuthors::new(queue.as_ref());
    if args.blocked {
        for author in blocked.keys().await? {
            say(author)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(author) = &args.unblock {
        let was_blocked = blocked.remove(author).await?;
        say(if was_blocked { "unblocked" } else { "no such blocked author; --blocked lists all of them" })?;
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
    say(format_args!("removed from               {} anomalies", cleared.anomalies))?;
    say(format_args!("                           {} alerts and notifications", cleared.documents))?;
    say(format_args!(
        "deleted                    {} dead letters, {} corrections",
        cleared.dead_letters, cleared.labels
    ))?;
    if request.and_block {
        say("blocked                    future posts of this author")?;
    }
    say("data files that held these posts are deleted within three hours while `overheard up` runs")?;
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
        say("not a terminal: use --yes to delete without confirmation")?;
        return Ok(false);
    }
    let mut out = std::io::stdout();
    write!(out, "Permanently delete {} posts? Type yes: ", found.posts.len())?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
