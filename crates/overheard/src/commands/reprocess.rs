//! `overheard reprocess`: understand again what is in the lake, from the original payloads in `raw`.

use crate::Global;
use crate::commands::moment;
use crate::output::say;
use crate::progress;
use anyhow::Result;
use domain::{Analytics, Clock, PostTable, QueryLimits, SystemClock};
use runtime::{reprocess, wiring};
use state::Labels;
use std::process::ExitCode;
use std::time::Duration;

/// Understand posts again that are in the lake already: after a new model, new categories or a new topic.
/// What people corrected stays as they said.
///
/// overheard reprocess --since 2026-03-01
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// First day (UTC, YYYY-MM-DD) of the posts, or a moment (RFC 3339).
    #[arg(long)]
    since: String,
    /// Last day (UTC), included.
    #[arg(long)]
    until: Option<String>,
}

/// Posts read, understood and rewritten at once: bounds memory.
const CHUNK: usize = 5_000;

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let since = moment(&args.since)?;
    let until = match &args.until {
        Some(day) => moment(day)? + chrono::Duration::days(1),
        None => SystemClock.now() + chrono::Duration::days(1),
    };
    let queue = wiring::open_queue(&config)?;
    let lake = wiring::open_lake(&config, &queue).await?;
    let understand = wiring::understand(&config, queue.as_ref()).await?;
    let labels = Labels::new(queue.as_ref()).current().await?;
    let range = format!(
        "event_date BETWEEN DATE '{}' AND DATE '{}' AND occurred_at >= TIMESTAMP '{}' AND occurred_at < TIMESTAMP '{}'",
        since.date_naive(),
        until.date_naive(),
        since.format("%Y-%m-%dT%H:%M:%SZ"),
        until.format("%Y-%m-%dT%H:%M:%SZ"),
    );
    let limits = QueryLimits { rows_max: CHUNK, timeout: Duration::from_secs(600) };
    let counted = lake.query(&format!("SELECT count(*) FROM raw WHERE {range}"), limits).await?;
    let total = counted.rows.first().and_then(|row| row.first()?.as_u64()).unwrap_or(0);
    let bar = progress::bar("{bar:30} {pos}/{len} posts, {per_sec}, {eta} left")?;
    bar.set_length(total);
    let (mut after, mut failed) = (String::new(), 0);
    loop {
        let sql = format!(
            "SELECT {} FROM raw WHERE {range} AND post_id > '{}' ORDER BY post_id LIMIT {CHUNK}",
            reprocess::RAW_COLUMNS,
            after.replace('\'', "''"),
        );
        let rows = lake.query(&sql, limits).await?.rows;
        let Some(last) = rows.last() else { break };
        after = last[0].as_str().unwrap_or_default().to_owned();
        let count = rows.len();
        let again = reprocess::understand_again(&understand, &labels, &rows).await?;
        failed += again.failed;
        lake.rewrite(again.posts).await?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    say(format_args!("{} posts understood again, {failed} left as they were", total - failed as u64))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}
