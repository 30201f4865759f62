//! `overheard models`: what is loaded, and classifiers of others in its place.

use crate::Global;
use crate::config::{self, Config};
use crate::hub::Hub;
use crate::output::{self, Format, say};
use crate::secrets;
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use nlp::Task;
use nlp::classifier::Classifier;
use nlp::encoder::{CONTAINERS, Options};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Language models. The shipped one needs nothing; any Hugging Face classifier of the families BERT, DistilBERT,
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
    /// Bring in a classifier: a hub id (team/name) or a local folder. It is tried before it is said to be usable. A
    /// download that broke off is gone on with by the same command. For private and gated models set HF_TOKEN.
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
    let config = Config::load(global.config.as_deref(), global.data.as_deref())?;
    match args.action {
        Action::List { format } => list(&config, format),
        Action::Add { model, revision, endpoint } => add(&config, &model, &revision, &endpoint).await,
        Action::Remove { model } => remove(&config, &model),
    }
}

/// Names and folders of the classifiers that were added, in order.
pub(crate) fn added(config: &Config) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(config.added_models()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let folders = folders.map(|entry| entry.path()).filter(|path| path.is_dir());
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().replace("--", "/"));
    let mut found: Vec<_> = folders.filter_map(|path| Some((name(&path)?, path))).collect();
    found.sort();
    found
}

fn list(config: &Config, format: Format) -> Result<ExitCode> {
    let mut rows = Vec::new();
    if let Some(folder) = config::model_folder(&config.understand.model) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.push(row(&name, &folder, "shipped"));
    }
    for (name, folder) in added(config) {
        rows.push(row(&name, &folder, &uses(config, &folder).join(", ")));
    }
    output::print(&output::rows(&["model", "used_as", "weights", "megabytes", "folder"], rows), format)?;
    Ok(ExitCode::SUCCESS)
}

/// The settings that name a classifier's folder.
fn uses(config: &Config, folder: &Path) -> Vec<&'static str> {
    let tasks = [Task::Sentiment, Task::Entities, Task::Category].into_iter();
    let used = tasks.filter(|task| config.classifier(*task).is_ok_and(|of| of.as_deref() == Some(folder)));
    used.map(config::classifier_setting).collect()
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

/// Whether that is how hubs name models: `name` or `team/name`.
fn is_hub_id(model: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    model.split('/').all(good) && model.split('/').count() <= 2 && !model.contains("--")
}

async fn add(config: &Config, model: &str, revision: &str, endpoint: &str) -> Result<ExitCode> {
    let (name, tried) = match Path::new(model) {
        local if local.is_dir() => {
            // The setting is read wherever the program is started.
            let folder = std::path::absolute(local).with_context(|| format!("find {model}"))?;
            let name = folder.display().to_string();
            let tried = try_out(&folder).with_context(|| format!("{name} can't be used"))?;
            (name, tried)
        }
        _ if is_hub_id(model) => {
            let hub = Hub::at(endpoint, secrets::read("HF_TOKEN", "").ok())?;
            (model.to_owned(), hub.bring(model, revision, &config.added_model(model), try_out).await?)
        }
        _ => bail!("{model:?} is neither a folder nor a hub id like cardiffnlp/twitter-xlm-roberta-base-sentiment"),
    };
    say(&tried.said)?;
    for task in tried.tasks {
        let setting = config::classifier_setting(task);
        say(format_args!("to use it for {}: {setting} = {name:?} in your configuration", task.as_str()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &Config, model: &str) -> Result<ExitCode> {
    let Some((name, folder)) = added(config).into_iter().find(|(name, _)| name == model) else {
        bail!("{model:?} was not added; `overheard models list` shows what was");
    };
    if let Some(setting) = uses(config, &folder).first() {
        bail!("{name} is in use: set {setting} to something else first");
    }
    fs::remove_dir_all(&folder).with_context(|| format!("delete {}", folder.display()))?;
    say(format_args!("{name} is deleted"))?;
    Ok(ExitCode::SUCCESS)
}

/// What a classifier says of one text, and what it can be used for.
pub(crate) struct Tried {
    pub(crate) said: String,
    pub(crate) tasks: Vec<Task>,
}

/// Loads a classifier and lets it read one text.
pub(crate) fn try_out(folder: &Path) -> Result<Tried> {
    let classifier = Classifier::load(folder, Options::default())?;
    let tasks = Task::of(&classifier);
    let labels = classifier.head().map(|head| head.labels.join(", ")).unwrap_or_default();
    match tasks.first() {
        None => bail!("it labels words, but none of its labels ({labels}) is a kind of entity that is known here"),
        Some(Task::Entities) => Ok(Tried { said: entities(folder)?, tasks }),
        Some(_) => {
            let text = "I love this!";
            let answer = classifier.classify(&[text]).into_iter().next().context("it gave no answer")??;
            let shown: Vec<String> =
                answer.iter().take(5).map(|scored| format!("{} {:.2}", scored.label, scored.probability)).collect();
            Ok(Tried { said: format!("{text:?} -> {}", shown.join(", ")), tasks })
        }
    }
}

/// The same for one that labels words.
fn entities(folder: &Path) -> Result<String> {
    let text = "Angela Merkel met Tim Cook of Apple in Berlin.";
    let settings = nlp::Config { entity_model: Some(folder.to_owned()), ..nlp::Config::default() };
    let answer = nlp::Understanding::load(&settings)?.read(&[(text, None)]).into_iter().next();
    let found = answer.context("it gave no answer")??.entities;
    let shown: Vec<String> = found.iter().map(|e| format!("{} ({})", e.text, e.kind.as_str())).collect();
    Ok(format!("{text:?} -> {}", if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") }))
}
