//! Holds queue and lake together at the start. The lake's transactions carry the queue's identity and offsets; when one of
//! the two was lost, restored or exchanged, going on as before would skip accepted posts or refuse posts that are gone.
//!
//! - The queue doesn't know what the lake has (the database was lost, or restored from an older copy): mended here. The
//!   queue takes a new identity, under which the lake skips nothing, and the known ids are rebuilt from the lake.
//! - The lake lacks what it had confirmed (it was lost, restored, or is not mounted): refused, because going on would hide
//!   that; `overheard reconcile` is the answer of a person who knows.

use crate::config::Config;
use crate::wiring;
use anyhow::{Result, bail};
use lake::Lake;
use queue::{Embedded, Standing};
use std::collections::HashSet;
use std::sync::Arc;
use tracing::warn;

/// How queue and lake stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    Agree,
    /// The lake holds posts that the queue doesn't know of; in words, why.
    QueueIsBehind(String),
    /// The lake lacks posts that it had confirmed; in words, which.
    LakeIsBehind(String),
}

/// What [`rebuild`] did.
pub struct Rebuilt {
    /// Posts in the lake, all known to the queue now.
    pub posts: u64,
    /// Waiting records that were in the lake already.
    pub dropped: u64,
}

/// The lake, for whoever carries posts into it. While another process does, that one has compared the two.
pub async fn open_lake(config: &Config, queue: &Embedded) -> Result<Arc<Lake>> {
    if !queue.is_lender().await? {
        return wiring::open_lake(config, queue).await;
    }
    let standing = queue.standing().await?;
    if standing.iter().any(|partition| partition.acked_offset > 0) && !config.data.join("lake/raw/_delta_log").is_dir()
    {
        bail!(refusal(config, "there is no lake"));
    }
    let lake = wiring::open_lake(config, queue).await?;
    match compare(&standing, &lake).await? {
        Agreement::Agree => {
            if lake.owner()?.is_none() {
                lake.set_owner(&queue.identity())?;
            }
            Ok(lake)
        }
        Agreement::LakeIsBehind(which) => bail!(refusal(config, &which)),
        Agreement::QueueIsBehind(why) => {
            warn!(
                why,
                "queue and lake do not belong together; the queue takes a new identity and learns from the lake which \
                 posts are known. Users, topics and rules are those of the database"
            );
            let Rebuilt { posts, dropped } = rebuild(queue, &lake).await?;
            warn!(posts, dropped, "queue and lake agree again; nothing in the lake was changed");
            wiring::open_lake(config, queue).await
        }
    }
}

fn refusal(config: &Config, which: &str) -> String {
    format!(
        "the lake in {} lacks posts that were stored there: {which}. If its disk is not mounted, mount it. If the lake was \
         lost or restored from an older copy, restore queue and lake from one backup (`overheard restore`), or run \
         `overheard reconcile`: then posts that are no longer in the lake can be brought in again",
        config.data.join("lake").display()
    )
}

/// Compares what both say. `standing`: of every partition of the queue, the first one first.
pub async fn compare(standing: &[Standing], lake: &Lake) -> Result<Agreement> {
    let mut is_known = false;
    for Standing { partition, last_offset, acked_offset } in standing {
        let found = lake.transactions(partition.as_str()).await?;
        is_known |= found.is_some();
        let (least, most) = found.unwrap_or((0, 0));
        if least < *acked_offset {
            return Ok(Agreement::LakeIsBehind(format!(
                "the queue was told that everything up to record {acked_offset} of {partition} is there, the lake has \
                 everything up to {least}"
            )));
        }
        if most > *last_offset {
            return Ok(Agreement::QueueIsBehind(format!(
                "the lake has record {most} of {partition}, the queue's newest is {last_offset}: the database was restored \
                 from an older copy"
            )));
        }
    }
    let identity = standing.first().map_or("", |first| first.partition.as_str());
    Ok(match lake.owner()? {
        Some(owner) if owner != identity => {
            Agreement::QueueIsBehind(format!("the lake was written by the queue {owner}, this is the queue {identity}"))
        }
        None if !is_known && lake.has_posts()? => {
            Agreement::QueueIsBehind("the lake holds posts and the database is new".into())
        }
        _ => Agreement::Agree,
    })
}

/// Gives the queue a new identity and the ids that the lake holds. Cut short, it is done again at the next start.
pub async fn rebuild(queue: &Embedded, lake: &Lake) -> Result<Rebuilt> {
    for partition in queue.partitions().iter() {
        let own = lake.transactions(partition.as_str()).await?;
        if let Some((least, most)) = own.filter(|(least, most)| least != most) {
            // A batch that is in some tables only and waits still: taken out, so that it is stored whole.
            let ids = queue.waiting_posts(partition, least, most).await?;
            let ids: HashSet<String> = ids.iter().map(ToString::to_string).collect();
            lake.remove_posts(&ids).await?;
        }
    }
    queue.begin_rebuild().await?;
    let mut posts = 0;
    for file in lake.raw_files()? {
        let (ids, day) = lake.posts_in(&file).await?;
        posts += ids.len() as u64;
        queue.add_rebuilt(ids, day).await?;
    }
    let queue::Rebuilt { identity, in_the_lake } = queue.finish_rebuild().await?;
    lake.set_owner(&identity)?;
    tell_of_half_posts(lake).await;
    Ok(Rebuilt { posts, dropped: in_the_lake })
}

/// A batch that was cut short and whose records are lost is in `raw` only: it can be understood from there.
async fn tell_of_half_posts(lake: &Lake) {
    if let Ok(Some((posts, day))) = lake.not_enriched().await {
        warn!(posts, "posts are stored but were not enriched; run `overheard reprocess --since {day}`");
    }
}
