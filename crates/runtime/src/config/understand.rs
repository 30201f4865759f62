//! Settings of enrichment: language model, places, translation.

use super::aws::{AwsEnginesConfig, UnderstandEngine};
use super::bounds::within;
use super::words::word;
use anyhow::{Context as _, Result, bail};
use engines::Limits;
use nlp::Task;
use pipeline::CarryConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnderstandConfig {
    pub enabled: bool,
    /// What understands posts, over the embedded model.
    #[serde(deserialize_with = "word")]
    pub engine: UnderstandEngine,
    pub aws: AwsEnginesConfig,
    pub model: String,
    pub threads: usize,
    pub categories: String,
    /// Hugging Face classifiers in place of the shipped model: the name of one that was added, or a folder.
    pub sentiment_model: String,
    pub entity_model: String,
    pub category_model: String,
    /// A category of `category_model` below this is `other`, 0 to 1.
    pub category_confidence_min: f32,
    /// Most posts in a batch.
    pub batch_max: usize,
    /// How long a batch may take.
    pub batch_target_ms: u64,
    /// Time between the starts of two batches that are not full.
    pub batch_every_ms: u64,
    /// A batch that is neither finished nor extended for so long is given to another process.
    pub lease_s: u64,
    /// Longest wait between two tries of a commit.
    pub retry_max_s: u64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacesConfig {
    #[serde(deserialize_with = "word")]
    pub engine: PlacesEngine,
    /// AWS region of the service.
    pub region: String,
    /// Environment variable, or file, that holds the API key.
    pub key_env: String,
    pub key_file: String,
    /// Replaces AWS's own address.
    pub endpoint: String,
    /// Limits of calls to a service: seconds for one, rest after a failure, answers remembered, calls at one time.
    pub timeout_s: u64,
    pub rest_s: u64,
    pub remembered: usize,
    pub calls_at_once: usize,
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
    #[serde(deserialize_with = "word")]
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
    /// Limits of calls to a service: seconds for one, rest after a failure, answers remembered, calls at one time.
    pub timeout_s: u64,
    pub rest_s: u64,
    pub remembered: usize,
    pub calls_at_once: usize,
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
        self.aws.check()?;
        within(
            "understand",
            &[
                ("batch_max", self.batch_max as u64, 1, 100_000),
                ("batch_target_ms", self.batch_target_ms, 100, 60_000),
                ("batch_every_ms", self.batch_every_ms, 0, 60_000),
                ("lease_s", self.lease_s, 3, 86_400),
                ("retry_max_s", self.retry_max_s, 1, 3_600),
            ],
        )
    }

    /// The settings of the way from the queue to the lake.
    pub fn carry(&self) -> CarryConfig {
        CarryConfig {
            batch_max: self.batch_max,
            batch_target: Duration::from_millis(self.batch_target_ms),
            batch_every: Duration::from_millis(self.batch_every_ms),
            lease: Duration::from_secs(self.lease_s),
            retry_max: Duration::from_secs(self.retry_max_s),
        }
    }
}

impl PlacesConfig {
    pub(super) fn check(&self) -> Result<()> {
        check_calls("places", self.timeout_s, self.rest_s, self.remembered, self.calls_at_once)
    }

    /// Limits of the calls to a service.
    pub fn limits(&self) -> Limits {
        limits(self.timeout_s, self.rest_s, self.remembered, self.calls_at_once)
    }
}

fn check_calls(section: &str, timeout_s: u64, rest_s: u64, remembered: usize, calls_at_once: usize) -> Result<()> {
    within(
        section,
        &[
            ("timeout_s", timeout_s, 1, 600),
            ("rest_s", rest_s, 1, 3_600),
            ("remembered", remembered as u64, 0, 10_000_000),
            ("calls_at_once", calls_at_once as u64, 1, 256),
        ],
    )
}

fn limits(timeout_s: u64, rest_s: u64, remembered: usize, calls_at_once: usize) -> Limits {
    Limits {
        timeout: Duration::from_secs(timeout_s),
        rest: Duration::from_secs(rest_s),
        kept_max: remembered,
        calls_max: calls_at_once,
    }
}

impl TranslationConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.engine == TranslationEngine::LibreTranslate && self.endpoint.is_empty() {
            bail!("translation.engine = \"libretranslate\" needs translation.endpoint, like http://127.0.0.1:5000");
        }
        check_calls("translation", self.timeout_s, self.rest_s, self.remembered, self.calls_at_once)
    }

    /// Limits of the calls to a service.
    pub fn limits(&self) -> Limits {
        limits(self.timeout_s, self.rest_s, self.remembered, self.calls_at_once)
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

/// The file that recognises the languages of posts.
const LANGUAGE_FILE: &str = "lid.176.ftz";

/// The folder `models` that comes with the program: beside it, or in the checkout it was built in.
fn models_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let near = program.ancestors().skip(1).take(4);
    near.flat_map(|folder| [folder.join("models"), folder.join("share/overheard/models")])
        .find(|models| models.join(LANGUAGE_FILE).is_file())
}

/// The file that recognises languages: with the configured model (`understand.model`), else with the program.
pub fn language_file(configured: &str) -> Result<PathBuf> {
    find_language_file(configured, models_folder()).with_context(|| {
        format!(
            "{LANGUAGE_FILE} was not found, so the language of every post is `und`: copy it from the folder `models` of \
             the release into the folder of understand.model, or beside that folder"
        )
    })
}

fn find_language_file(configured: &str, models: Option<PathBuf>) -> Option<PathBuf> {
    let model = Some(Path::new(configured)).filter(|_| !configured.is_empty());
    let near_model = model.into_iter().flat_map(|model| model.ancestors().take(2)).map(Path::to_owned);
    near_model.chain(models).map(|folder| folder.join(LANGUAGE_FILE)).find(|file| file.is_file())
}

/// The folder of the language model: as configured, else the shipped one.
pub fn model_folder(configured: &str) -> Option<PathBuf> {
    if !configured.is_empty() {
        return Some(PathBuf::from(configured));
    }
    models_folder().map(|models| models.join(SHIPPED_MODEL)).filter(|folder| folder.join("config.json").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_recognised_by_the_file_with_the_configured_model() {
        let folder = tempfile::tempdir().unwrap();
        let (model, program) = (folder.path().join("own/model"), folder.path().join("models"));
        std::fs::create_dir_all(&model).unwrap();
        std::fs::create_dir(&program).unwrap();
        let find = || find_language_file(model.to_str().unwrap(), Some(program.clone()));
        assert_eq!(find(), None);
        for place in [&program, &folder.path().join("own"), &model] {
            let file = place.join(LANGUAGE_FILE);
            std::fs::write(&file, "").unwrap();
            assert_eq!(find(), Some(file));
        }
        assert_eq!(find_language_file("", Some(program.clone())), Some(program.join(LANGUAGE_FILE)));
    }
}
