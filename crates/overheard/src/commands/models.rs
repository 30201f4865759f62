//! `overheard models`: what is loaded, and classifiers of others in its place.

use crate::Global;
use crate::config::{self, Config};
use crate::hub::Hub;
use crate::output::{self, Format, say};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use nlp::classifier::Classifier;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Language models. The shipped one needs nothing; any Hugging Face classifier (BERT, DistilBERT, RoBERTa, XLM-R,
/// DeBERTa-v2, ModernBERT with safetensors) can take the place of its sentiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The shipped model, and those that were added.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Bring in a classifier: a hub id (team/name) or a local folder. It is tried before it is kept.
    Add {
        model: String,
        /// Branch, tag or commit on the hub.
        #[arg(long, default_value = "main")]
        revision: String,
        /// The hub.
        #[arg(long, env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
        endpoint: String,
    },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    match args.action {
        Action::List { format } => list(&config, format),
        Action::Add { model, revision, endpoint } => add(&config, &model, &revision, &endpoint).await,
    }
}

fn list(config: &Config, format: Format) -> Result<ExitCode> {
    let mut rows = Vec::new();
    if let Some(folder) = config::model_folder(&config.understand.model) {
        rows.push(vec![json!("shipped"), json!(folder.display().to_string())]);
    }
    for entry in std::fs::read_dir(config.data.join("models")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().replace("--", "/");
        rows.push(vec![json!(name), json!(entry.path().display().to_string())]);
    }
    output::print(&output::rows(&["model", "folder"], rows), format)?;
    Ok(ExitCode::SUCCESS)
}

async fn add(config: &Config, model: &str, revision: &str, endpoint: &str) -> Result<ExitCode> {
    let folder = match Path::new(model) {
        local if local.is_dir() => local.to_owned(),
        _ => {
            let good = |part: &str| {
                !part.is_empty()
                    && !part.starts_with('.')
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            };
            if !model.split('/').all(good) || model.split('/').count() > 2 {
                bail!("{model:?} is neither a folder nor a hub id like cardiffnlp/twitter-xlm-roberta-base-sentiment");
            }
            let folder = config.data.join("models").join(model.replace('/', "--"));
            let token = config::secret("HF_TOKEN", "").ok();
            Hub::at(endpoint, token)?.download(model, revision, &folder).await?;
            folder
        }
    };
    try_out(&folder)?;
    say(format_args!(
        "to use it for sentiment, set in your configuration:\n  [understand]\n  sentiment_model = {:?}",
        folder.display().to_string()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Loads the model and classifies one text.
fn try_out(folder: &PathBuf) -> Result<()> {
    let classifier = Classifier::load(folder, nlp::encoder::Options::default()).context("load the model")?;
    let text = "I love this!";
    match classifier.classify(&[text]).into_iter().next() {
        Some(Ok(labels)) => {
            let shown: Vec<String> =
                labels.iter().take(5).map(|scored| format!("{} {:.2}", scored.label, scored.probability)).collect();
            say(format_args!("{text:?} -> {}", shown.join(", ")))
        }
        Some(Err(error)) => Err(error).context("try the model"),
        None => bail!("the model gave no answer"),
    }
}
