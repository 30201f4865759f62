//! `overheard categories`: the user's own categories, tried before they are used.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use nlp::categories::{CategoryHead, evaluate};
use runtime::wiring;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Your own categories: a TOML or JSON file with names, a sentence of description, and, where you have them, examples.
///
/// other_below = 0.3
/// [[category]]
/// name = "late delivery"
/// description = "A parcel or order arrived late or not at all."
/// examples = ["still waiting for my parcel", ...]        8 or more for every category: a head is trained on them
///
/// Name the file in `understand.categories`; it is trained at start, in seconds. Categories saved on the page stand before
/// the file.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build the classifier and say how: by meaning alone, or trained on the examples.
    Train { file: PathBuf },
    /// Cross-validated figures for each category, from the examples.
    Eval {
        file: PathBuf,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
}

pub(crate) fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let mut config = global.load()?;
    let (Action::Train { file } | Action::Eval { file, .. }) = &args.action;
    config.understand.categories = file.to_string_lossy().into_owned();
    let set = wiring::categories(&config)?.context("read the categories")?;
    let language = wiring::language(&config, None)?;
    match args.action {
        Action::Train { .. } => {
            let head = CategoryHead::build(&set, &language)?;
            say(format_args!(
                "{} categories, {:?}; below {} it is `other`",
                head.names().len(),
                head.method(),
                set.other_below
            ))?;
        }
        Action::Eval { format, .. } => {
            if !set.can_train() {
                bail!(
                    "8 or more examples are needed in every category to evaluate; without them posts are told apart by meaning alone"
                );
            }
            let figures = evaluate(&set, &language)?;
            let percent = |share: f32| json!((f64::from(share) * 1000.0).round() / 10.0);
            let rows = figures.classes.iter().map(|class| {
                vec![
                    json!(class.name),
                    percent(class.precision),
                    percent(class.recall),
                    percent(class.f1),
                    json!(class.support),
                ]
            });
            output::print(
                &output::rows(&["category", "precision", "recall", "f1", "examples"], rows.collect()),
                format,
            )?;
            if format == Format::Table {
                say(format_args!(
                    "accuracy {}, macro F1 {} (cross-validated)",
                    percent(figures.accuracy),
                    percent(figures.macro_f1)
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
