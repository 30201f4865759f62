//! Settings of streams that get copies of posts: `[[streams]]`.

use super::words::word;
use crate::secrets;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service that takes streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    Firehose,
    Kinesis,
}

/// What a stream gets of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamContent {
    /// The original JSON.
    Raw,
    /// What was understood.
    Understood,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Name of the delivery stream or data stream.
    pub name: String,
    #[serde(deserialize_with = "word")]
    pub kind: StreamKind,
    #[serde(deserialize_with = "word")]
    pub content: StreamContent,
    /// AWS region; empty: AWS_REGION.
    #[serde(default)]
    pub region: String,
    /// Replaces AWS's own address.
    #[serde(default)]
    pub endpoint: String,
    /// Environment variables with the access key; left out: the standard chain.
    #[serde(default)]
    pub access_key_env: String,
    #[serde(default)]
    pub secret_env: String,
}

impl StreamConfig {
    pub(super) fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            bail!("streams: a stream has no name");
        }
        Ok(())
    }

    /// How the service is reached.
    pub fn settings(&self) -> Result<aws::Settings> {
        let credentials = secrets::aws_credentials(&self.access_key_env, &self.secret_env)?;
        Ok(aws::Settings {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            credentials: Some(credentials),
        })
    }
}
