//! Classifiers that were added beside the shipped model: which there are, bringing one in, trying one out.

use crate::config::{Config, classifier_setting};
use crate::hub::Hub;
pub use crate::hub::Progress;
use crate::secrets;
use anyhow::{Context, Result, bail};
use nlp::Task;
use nlp::classifier::Classifier;
use nlp::encoder::Options;
use std::fs;
use std::path::{Path, PathBuf};

/// Names and folders of the classifiers that were added, in order.
pub fn added(config: &Config) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(config.added_models()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let folders = folders.map(|entry| entry.path()).filter(|path| path.is_dir());
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().replace("--", "/"));
    let mut found: Vec<_> = folders.filter_map(|path| Some((name(&path)?, path))).collect();
    found.sort();
    found
}

/// The settings that name a classifier's folder.
pub fn uses(config: &Config, folder: &Path) -> Vec<&'static str> {
    let tasks = [Task::Sentiment, Task::Entities, Task::Category].into_iter();
    let used = tasks.filter(|task| config.classifier(*task).is_ok_and(|of| of.as_deref() == Some(folder)));
    used.map(classifier_setting).collect()
}

/// Brings in a classifier, from a local folder or from the hub at `endpoint`, and tries it. Returns the name for the
/// settings and the result of the try.
pub async fn add(
    config: &Config,
    model: &str,
    revision: &str,
    endpoint: &str,
    progress: Progress,
) -> Result<(String, Tried)> {
    match Path::new(model) {
        local if local.is_dir() => {
            // The setting is read wherever the program is started.
            let folder = std::path::absolute(local).with_context(|| format!("find {model}"))?;
            let name = folder.display().to_string();
            let tried = try_out(&folder).with_context(|| format!("{name} can't be used"))?;
            Ok((name, tried))
        }
        _ if is_hub_id(model) => {
            let mut hub = Hub::at(endpoint, secrets::read("HF_TOKEN", "").ok())?;
            hub.progress = progress;
            Ok((model.to_owned(), hub.bring(model, revision, &config.added_model(model), try_out).await?))
        }
        _ => bail!("{model:?} is neither a folder nor a hub id like cardiffnlp/twitter-xlm-roberta-base-sentiment"),
    }
}

/// Deletes a classifier that was added and that no setting names.
pub fn remove(config: &Config, model: &str) -> Result<()> {
    let Some((name, folder)) = added(config).into_iter().find(|(name, _)| name == model) else {
        bail!("{model:?} was not added; `overheard models list` shows what was");
    };
    if let Some(setting) = uses(config, &folder).first() {
        bail!("{name} is in use: set {setting} to something else first");
    }
    fs::remove_dir_all(&folder).with_context(|| format!("delete {}", folder.display()))
}

/// Whether a hub names models like this: `name` or `team/name`.
fn is_hub_id(model: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    model.split('/').all(good) && model.split('/').count() <= 2 && !model.contains("--")
}

/// What a classifier says of one text, and what it can be used for.
pub struct Tried {
    pub said: String,
    pub tasks: Vec<Task>,
}

/// Loads a classifier and lets it read one text.
pub fn try_out(folder: &Path) -> Result<Tried> {
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
