//! `overheard audit`: the audit log, newest entries first.

use crate::Global;
use crate::output::{self, Format};
use anyhow::Result;
use runtime::{clock, wiring};
use serde_json::json;
use state::{AuditEntry, AuditLog};
use std::process::ExitCode;

/// Show the audit log: sign-ins, changes, exports and SQL, with user and address, newest first
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard audit
  overheard audit --limit 1000 --format csv > audit.csv"#
)]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum number of entries to print.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let log = AuditLog::new(wiring::open_existing_queue(&config)?);
    let page = log.page(None, args.limit, config.server.audit_days, clock().now()).await?;
    let row = |entry: AuditEntry| {
        let AuditEntry { at, who, address, action, subject, outcome } = entry;
        vec![json!(at), json!(who), json!(address), json!(action), json!(subject), json!(outcome)]
    };
    let mut rows = output::rows(
        &["at", "who", "address", "action", "subject", "outcome"],
        page.entries.into_iter().map(row).collect(),
    );
    rows.truncated = page.next.is_some();
    output::print(&rows, args.format)?;
    Ok(ExitCode::SUCCESS)
}
