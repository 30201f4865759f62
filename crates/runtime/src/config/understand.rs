//! Settings of enrichment: language model, places, translation.

use anyhow::{Result, bail};
use nlp::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnderstandConfig {
    pub enabled: bool,
    pub model: String,
    pub threads: usize,
    pub categories: String,
    /// Hugging Face classifiers in place of the shipped model: the name of one that was added, or a folder.
    pub sentiment_model: String,
    pub entity_model: String,
    pub category_model: String,
    /// A category of `category_model` below this is `other`, 0 to 1.
    pub category_confidence_min: f32,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacesConfig {
    pub engine: PlacesEngine,
    /// AWS region of the service.
    pub region: String,
    /// Environment variable, or file, that holds the API key.
    pub key_env: String,
    pub key_file: String,
    /// Replaces AWS's own address.
    pub endpoint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlacesEngine {
    Embedded,
    AmazonLocation,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TranslationConfig {
    pub engine: TranslationEngine,
    /// LibreTranslate: address of the server. Amazon Translate: replaces AWS's own address.
    pub endpoint: String,
    /// LibreTranslate: environment variable, or file, that holds the API key, where the server wants one.
    pub key_env: String,
    pub key_file: String,
    /// AWS region of Amazon Translate.
    pub region: String,
    /// Amazon Translate: environment variables that hold the access key.
    pub access_key_env: String,
    pub secret_env: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TranslationEngine {
    None,
    #[serde(rename = "libretranslate")]
    LibreTranslate,
    AmazonTranslate,
}

impl UnderstandConfig {
    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.category_confidence_min) {
            bail!("understand.category_confidence_min must be 0 to 1");
        }
        Ok(())
    }
}

impl TranslationConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.engine == TranslationEngine::LibreTranslate && self.endpoint.is_empty() {
            bail!("translation.engine = \"libretranslate\" needs translation.endpoint, like http://127.0.0.1:5000");
        }
        Ok(())
    }
}

/// The setting that gives a task to a classifier.
pub fn classifier_setting(task: Task) -> &'static str {
    match task {
        Task::Sentiment => "understand.sentiment_model",
        Task::Entities => "understand.entity_model",
        Task::Category => "understand.category_model",
    }
}

/// Name of the shipped model's folder.
const SHIPPED_MODEL: &str = "overheard-small";

/// The folder `models` that comes with the program: beside it, or in the checkout it was built in.
pub fn models_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let near = program.ancestors().skip(1).take(4);
    near.flat_map(|folder| [folder.join("models"), folder.join("share/overheard/models")])
        .find(|models| models.join("lid.176.ftz").is_file())
}

/// The folder of the language model: as configured, else the shipped one.
pub fn model_folder(configured: &str) -> Option<PathBuf> {
    if !configured.is_empty() {
        return Some(PathBuf::from(configured));
    }
    models_folder().map(|models| models.join(SHIPPED_MODEL)).filter(|folder| folder.join("config.json").is_file())
}
