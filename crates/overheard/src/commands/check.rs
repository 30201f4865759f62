//! `overheard check`: reads every file of the installation and names every damage.

use crate::Global;
use crate::output::{self, Format, say};
use crate::progress;
use anyhow::{Context, Result};
use lake::{Checked, Damage, Mend};
use queue::Standing;
use runtime::wiring;
use serde_json::json;
use std::process::ExitCode;

/// Read every file of the installation and name every damage: the queue's database, the logs, checkpoints and data files
/// of the lake, rows against what the log says of them, and the tables and the queue against each other.
/// Changes nothing and may run beside `overheard up`. Exit code 3 when something is damaged.
///
/// overheard check                  a line a damage, with how it is mended
/// overheard check --format json    the same for programs
/// overheard repair --dry-run       what a repair would do about it
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let file = config.data.join("overheard.db");
    let location = wiring::lake_location(&config)?;
    let has_lake = location.holds_a_lake().await?;
    if !has_lake && !file.is_file() {
        anyhow::bail!("there is nothing to check in {}; name the folder with --data", config.data.display());
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
        return vec![damage("is missing: the lake has no queue, users and topics".into())];
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
                "the lake holds posts of {partition} up to offset {held}, the queue ends at {last_offset}: one of them is \
                 from another time"
            )));
        }
        if let Some(held) = offsets.iter().min().filter(|held| *held < acked_offset) {
            damages.push(damage(format!(
                "the queue handed posts of {partition} over up to offset {acked_offset}, the lake holds them up to {held}"
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
        say(format_args!("{:<12} {file}{} (mended by {})", damage.table, damage.what, mend(damage)))?;
    }
    let (files, rows) = (checked.files, checked.rows);
    match damages.len() {
        0 => say(format_args!("{files} data files with {rows} rows: nothing is damaged")),
        count => say(format_args!(
            "{files} data files with {rows} readable rows: {count} found; `overheard repair --dry-run` shows what it would do"
        )),
    }
}
