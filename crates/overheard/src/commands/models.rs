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

/// Language models: what is loaded; bring in a Hugging Face classifier.
///
/// The shipped model needs nothing; any Hugging Face classifier of the families BERT, DistilBERT,
/// RoBERTa, XLM-R, CamemBERT, DeBERTa-v2 and ModernBERT can take the place of its sentiment or its entities, or give the
/// category. Weights may be safetensors, pytorch_model.bin (read without running what is in it), shards of either, or an
/// ONNX graph that was neither quantised nor optimised.
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
    /// Bring in a classifier: a hub id (team/name) or a local folder. It is tried before it is said to be usable. Run
    /// the same command again to resume a download. For private and gated models set HF_TOKEN.
    Add {
        model: String,
        /// Branch, tag or commit on the hub.
        #[arg(long, default_value = "main")]
        revision: String,
        /// The hub.
        #[arg(long, env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
        endpoint: String,
    },
    /// Delete a classifier that was added.
    Remove { model: String },
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
    let weights = weights.map_or("none: `overheard models add` again", |name| name);
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
        say(format_args!("to use it for {}: {setting} = {name:?} in your configuration", task.as_str()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &Config, model: &str) -> Result<ExitCode> {
    models::remove(config, model)?;
    say(format_args!("{model} is deleted"))?;
    Ok(ExitCode::SUCCESS)
}
