//! `overheard models`: what is loaded, and classifiers of others in its place.

use crate::Global;
use crate::output::{self, Format, say};
use crate::progress;
use anyhow::Result;
use clap::Subcommand;
use nlp::encoder::CONTAINERS;
use runtime::config::{self, Config};
use runtime::models;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// List language models, and add or remove Hugging Face classifiers
///
/// The shipped model works without setup. A Hugging Face classifier of the families BERT, DistilBERT,
/// RoBERTa, XLM-R, CamemBERT, DeBERTa-v2 or ModernBERT can replace it for sentiment or entities, or
/// predict the category. Weights may be safetensors, pytorch_model.bin (read without executing code),
/// shards of either, or an ONNX graph that is neither quantized nor optimized.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard models list
  overheard models add cardiffnlp/twitter-roberta-base-sentiment-latest
  overheard models remove cardiffnlp/twitter-roberta-base-sentiment-latest"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the shipped model and added models.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Add a classifier from the Hugging Face hub or a local folder. The model is test-loaded before it is added.
    ///
    /// Run the same command again to resume an interrupted download. Set HF_TOKEN for private and gated models.
    Add {
        /// Hub id (team/name) or folder.
        model: String,
        /// Branch, tag or commit on the hub.
        #[arg(long, default_value = "main")]
        revision: String,
        /// Address of the hub.
        #[arg(long, env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
        endpoint: String,
    },
    /// Remove an added classifier and delete its files.
    Remove {
        /// Name of the model, as `list` shows it.
        model: String,
    },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    match args.action {
        Action::List { format } => list(&config, format),
        Action::Add { model, revision, endpoint } => add(&config, &model, &revision, &endpoint).await,
        Action::Remove { model } => remove(&config, &model),
    }
}

fn list(config: &Config, format: Format) -> Result<ExitCode> {
    let mut rows = Vec::new();
    if let Some(folder) = config::model_folder(&config.understand.model) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.push(row(&name, &folder, "shipped"));
    }
    for (name, folder) in models::added(config) {
        rows.push(row(&name, &folder, &models::uses(config, &folder).join(", ")));
    }
    output::print(&output::rows(&["model", "used_as", "weights", "megabytes", "folder"], rows), format)?;
    Ok(ExitCode::SUCCESS)
}

fn row(name: &str, folder: &Path, used: &str) -> Vec<serde_json::Value> {
    let weights = CONTAINERS.iter().find(|container| folder.join(container).exists());
    let megabytes = (size(folder) as f64 / 1e5).round() / 10.0;
    let weights = weights.map_or("none: run `overheard models add` again", |name| name);
    vec![json!(name), json!(used), json!(weights), json!(megabytes), json!(folder.display().to_string())]
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

async fn add(config: &Config, model: &str, revision: &str, endpoint: &str) -> Result<ExitCode> {
    let bar = progress::bar("{prefix:34} {bar:30} {bytes}/{total_bytes} {eta}")?;
    let moved = bar.clone();
    let show = move |file: &str, done, total| {
        moved.set_prefix(file.to_owned());
        moved.set_length(total);
        moved.set_position(done);
    };
    let added = models::add(config, model, revision, endpoint, Arc::new(show)).await;
    bar.finish_and_clear();
    let (name, tried) = added?;
    say(&tried.said)?;
    for task in tried.tasks {
        let setting = config::classifier_setting(task);
        say(format_args!("to use it for {}, set {setting} = {name:?} in your config file", task.as_str()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &Config, model: &str) -> Result<ExitCode> {
    models::remove(config, model)?;
    say(format_args!("removed {model}"))?;
    Ok(ExitCode::SUCCESS)
}
