//! The wiring: opens the rooms as the settings say. Each function opens one; commands take what they need.

use crate::config::{self, Config};
use anyhow::{Context, Result};
use domain::topic::TopicMatcher;
use domain::{Clock, Enricher, StateStore, SystemClock, Topic};
use lake::Lake;
use pipeline::Understand;
use places::Gazetteer;
use queue::Embedded;
use std::path::Path;
use std::sync::Arc;

/// The clock of the running program.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))
}

/// The queue and the small documents: one file, one opening.
pub(crate) fn open_queue(config: &Config) -> Result<Arc<Embedded>> {
    make_folder(&config.data)?;
    let settings = queue::Config { waiting_max: config.queue.waiting_max, ..queue::Config::default() };
    let file = config.data.join("overheard.db");
    let queue = Embedded::open(&file, settings, clock()).with_context(|| format!("open {}", file.display()))?;
    Ok(Arc::new(queue))
}

fn lake_settings(config: &Config) -> lake::Config {
    let days = config.lake.retention_days;
    lake::Config { retention_days: (days > 0).then_some(days), ..lake::Config::default() }
}

/// The lake, to write and to read.
pub(crate) async fn open_lake(config: &Config) -> Result<Arc<Lake>> {
    let folder = config.data.join("lake");
    make_folder(&folder)?;
    let opened = Lake::open(&folder, lake_settings(config), clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {}", folder.display()))?))
}

/// The lake as another process writes it.
pub(crate) async fn open_lake_read_only(config: &Config) -> Result<Arc<Lake>> {
    let folder = config.data.join("lake");
    if !folder.exists() {
        anyhow::bail!(
            "there is no lake in {}; bring posts in first: overheard demo, overheard import FILE or overheard up",
            config.data.display()
        );
    }
    let opened = Lake::open_read_only(&folder, lake_settings(config), clock()).await;
    Ok(Arc::new(opened.with_context(|| format!("open the lake {}", folder.display()))?))
}

/// The saved topics, by name.
pub(crate) async fn topics(state: &dyn StateStore) -> Result<Vec<Topic>> {
    let documents = state.list("topic").await?;
    let read = |(name, document)| serde_json::from_value(document).with_context(|| format!("read the topic {name:?}"));
    documents.into_iter().map(read).collect()
}

/// The language engine as configured.
pub(crate) fn enricher(config: &Config) -> Result<Arc<dyn Enricher>> {
    let mut settings = nlp::Config { threads: config.understand.threads, ..nlp::Config::default() };
    if config.understand.enabled {
        let folder = config::model_folder(&config.understand.model).context(
            "the shipped language model was not found beside the program: name its folder in understand.model, \
             or keep posts without understanding them with understand.enabled = false",
        )?;
        settings.lid_path = folder.parent().map(|models| models.join("lid.176.ftz")).filter(|file| file.exists());
        settings.model_dir = Some(folder);
    }
    Ok(Arc::new(nlp::Understanding::load(&settings).context("load the language model")?))
}

/// The understanding stage with its engines.
pub(crate) fn understand(config: &Config, topics: Vec<Topic>) -> Result<Arc<Understand>> {
    let matcher = TopicMatcher::new(topics).map_err(|error| anyhow::anyhow!("{error}"))?;
    let gazetteer = Gazetteer::embedded().context("read the gazetteer")?;
    Ok(Arc::new(Understand::new(enricher(config)?, gazetteer, matcher)))
}
