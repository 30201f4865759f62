//! `overheard check`: verifies every file of the installation and reports damage.

use crate::Global;
use crate::output::{self, Format, say};
use crate::progress;
use anyhow::{Context, Result};
use lake::{Checked, Damage, Mend};
use queue::Standing;
use runtime::wiring;
use serde_json::json;
use std::process::ExitCode;

/// Verify every file of the installation and report damage
///
/// Checks the queue's database, the lake's logs, checkpoints and data files, row counts against the
/// log, and tables and queue against each other. Changes nothing and may run beside `overheard up`.
/// Exit code 3 if anything is damaged. See docs/recovery.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard check                  one line per problem, with the fix
  overheard check --format json    the same for programs
  overheard repair --dry-run       what a repair would do"#
)]
pub(crate) struct Args {
    /// Output format.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let file = config.data.join("overheard.db");
    let location = wiring::lake_location(&config)?;
    let has_lake = location.holds_a_lake().await?;
    if !has_lake && !file.is_file() {
        anyhow::bail!("nothing to check in {}; pass the data folder with --data", config.data.display());
    }
    let queue = file.is_file().then(|| queue::check(&file)).transpose().with_context(|| file.display().to_string())?;
    let mut checked = Checked::default();
    if has_lake {
        let bar = progress::count("files")?;
        let standing = queue.iter().flat_map(|queue| &queue.standing);
        let partitions: Vec<_> = standing.map(|standing| standing.partition.clone()).collect();
        checked = lake::check(&location, &partitions, |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })
        .await?;
        bar.finish_and_clear();
    }
    let mut damages = of_queue(queue.as_ref(), &checked);
    damages.append(&mut checked.damages);
    tell(&damages, &checked, args.format)?;
    let damaged = damages.iter().any(|damage| damage.mend != Mend::Start);
    Ok(if damaged { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

/// What is wrong with the queue, and with the queue against the lake.
fn of_queue(queue: Option<&queue::Checked>, lake: &Checked) -> Vec<Damage> {
    let damage = |what: String| Damage { table: "queue", file: "overheard.db".into(), what, mend: Mend::Backup };
    let Some(queue) = queue else {
        return vec![damage("missing: the lake has no queue, users or topics".into())];
    };
    let mut damages: Vec<Damage> = queue.faults.iter().cloned().map(damage).collect();
    if !damages.is_empty() {
        return damages;
    }
    for Standing { partition, last_offset, acked_offset } in &queue.standing {
        let tables = lake.transactions.get(partition).into_iter().flatten();
        let offset = |at: Option<i64>| at.and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
        let offsets: Vec<u64> = tables.map(|(_, at)| offset(*at)).collect();
        if let Some(held) = offsets.iter().max().filter(|held| *held > last_offset) {
            damages.push(damage(format!(
                "the lake holds posts of {partition} up to offset {held} but the queue ends at {last_offset}: one of them was \
                 restored from an older copy"
            )));
        }
        if let Some(held) = offsets.iter().min().filter(|held| *held < acked_offset) {
            damages.push(damage(format!(
                "the queue delivered posts of {partition} up to offset {acked_offset} but the lake holds them up to {held}"
            )));
        }
    }
    damages
}

fn tell(damages: &[Damage], checked: &Checked, format: Format) -> Result<()> {
    let mend = |damage: &Damage| match damage.mend {
        Mend::Repair => "overheard repair",
        Mend::Start => "the next start",
        Mend::Backup => "a backup",
    };
    if format != Format::Table {
        let row =
            |damage: &Damage| vec![json!(damage.table), json!(damage.file), json!(damage.what), json!(mend(damage))];
        return output::print(
            &output::rows(&["table", "file", "damage", "mended_by"], damages.iter().map(row).collect()),
            format,
        );
    }
    // Lines, not a table: a path is never cut.
    for damage in damages {
        let file = if damage.file.is_empty() { String::new() } else { format!("{}: ", damage.file) };
        say(format_args!("{:<12} {file}{} (fixed by {})", damage.table, damage.what, mend(damage)))?;
    }
    let (files, rows) = (checked.files, checked.rows);
    match damages.len() {
        0 => say(format_args!("{files} data files with {rows} rows: no damage found")),
        count => say(format_args!(
            "{files} data files with {rows} readable rows: {count} problems; `overheard repair --dry-run` shows the repair"
        )),
    }
}
