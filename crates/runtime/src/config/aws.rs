//! Settings of the engines of Amazon that understand posts.

use super::bounds::within;
use super::words::word;
use crate::secrets;
use anyhow::{Result, bail};
use engines::{Limits, SageMakerConfig, SageMakerTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What understands posts, over the embedded model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnderstandEngine {
    Embedded,
    Comprehend,
}

/// What a classifier on SageMaker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierTask {
    Category,
    Sentiment,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsEnginesConfig {
    /// AWS region; empty: AWS_REGION.
    pub region: String,
    /// Replaces AWS's own addresses.
    pub endpoint: String,
    /// Environment variables with the access key; not set: the standard chain.
    pub access_key_env: String,
    pub secret_env: String,
    /// Name of a SageMaker endpoint with a classifier; empty: none.
    pub sagemaker_endpoint: String,
    #[serde(deserialize_with = "word")]
    pub sagemaker_task: ClassifierTask,
    /// Labels of a zero-shot classifier.
    pub sagemaker_labels: Vec<String>,
    /// Limits of calls to a service: seconds for one, rest after a failure, answers remembered, calls at one time.
    pub timeout_s: u64,
    pub rest_s: u64,
    pub remembered: usize,
    pub calls_at_once: usize,
}

impl AwsEnginesConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.sagemaker_labels.len() == 1 {
            bail!(
                "understand.aws.sagemaker_labels needs two labels or more, or none for a model with labels of its own"
            );
        }
        within(
            "understand.aws",
            &[
                ("timeout_s", self.timeout_s, 1, 600),
                ("rest_s", self.rest_s, 1, 3_600),
                ("remembered", self.remembered as u64, 0, 10_000_000),
                ("calls_at_once", self.calls_at_once as u64, 1, 256),
            ],
        )
    }

    /// How AWS is reached.
    pub fn settings(&self) -> Result<aws::Settings> {
        let credentials = secrets::aws_credentials(&self.access_key_env, &self.secret_env)?;
        Ok(aws::Settings {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            credentials: Some(credentials),
        })
    }

    /// The classifier on SageMaker, where one is named.
    pub fn sagemaker(&self, confidence_min: f32) -> Option<SageMakerConfig> {
        (!self.sagemaker_endpoint.is_empty()).then(|| SageMakerConfig {
            endpoint: self.sagemaker_endpoint.clone(),
            task: match self.sagemaker_task {
                ClassifierTask::Category => SageMakerTask::Category,
                ClassifierTask::Sentiment => SageMakerTask::Sentiment,
            },
            labels: self.sagemaker_labels.clone(),
            confidence_min,
        })
    }

    /// Limits of the calls.
    pub fn limits(&self) -> Limits {
        Limits {
            timeout: Duration::from_secs(self.timeout_s),
            rest: Duration::from_secs(self.rest_s),
            kept_max: self.remembered,
            calls_max: self.calls_at_once,
        }
    }
}
