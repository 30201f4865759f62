//! `overheard sql`: read-only questions to the lake.

use crate::Global;
use crate::output::{self, Format};
use anyhow::Result;
use domain::QueryLimits;
use runtime::wiring;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

/// Query the lake with read-only SQL
///
/// Tables: `raw`, `sentiment`, `entities`, `key_phrases`, `anomalies`, `alerts`. View: `posts`.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard sql "SELECT sentiment, count(*) FROM posts GROUP BY 1"
  overheard sql "SELECT entity, count(*) n FROM entities WHERE array_has(topics, 'storm') GROUP BY 1 ORDER BY n DESC"
  overheard sql - --format csv < query.sql"#
)]
pub(crate) struct Args {
    /// SQL statement; `-` reads it from standard input.
    query: String,
    /// Output format.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum number of rows to print.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// Query timeout in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let query = match args.query.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        _ => args.query,
    };
    let lake = wiring::open_lake_read_only(&config).await?;
    let limits = QueryLimits { rows_max: args.limit, timeout: Duration::from_secs(args.timeout) };
    output::print(&lake.query(&query, limits).await?, args.format)?;
    Ok(ExitCode::SUCCESS)
}
