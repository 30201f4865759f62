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

/// Train and evaluate your own categories
///
/// Categories are defined in a TOML or JSON file: a name, a one-sentence description and, optionally,
/// examples. With 8 or more examples for every category, a classifier is trained on them; otherwise
/// posts are compared with the descriptions.
///
///     other_below = 0.3
///     [[category]]
///     name = "late delivery"
///     description = "A parcel or order arrived late or not at all."
///     examples = ["still waiting for my parcel"]
///
/// Set `understand.categories` to the file to use it. Categories saved in the dashboard take precedence
/// over the file.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard categories train categories.toml
  overheard categories eval categories.toml --format csv"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build the classifier and print the method: from descriptions, or trained on examples.
    Train {
        /// File with the categories.
        file: PathBuf,
    },
    /// Print cross-validated precision, recall and F1 for each category.
    Eval {
        /// File with the categories.
        file: PathBuf,
        /// Output format.
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
                "{} categories, method {:?}; a score below {} becomes `other`",
                head.names().len(),
                head.method(),
                set.other_below
            ))?;
        }
        Action::Eval { format, .. } => {
            if !set.can_train() {
                bail!(
                    "evaluation needs at least 8 examples for every category; without them posts are compared with the descriptions"
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
