//! Settings of the sources.

use crate::secrets;
use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sources::push::Rights;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcesConfig {
    pub x: XConfig,
    #[serde(default)]
    pub push: Vec<PushConfig>,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XConfig {
    pub enabled: bool,
    pub token_env: String,
    pub token_file: String,
    pub base_url: String,
    pub cost_per_post: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    pub name: String,
    pub platform: String,
    pub token_env: String,
    /// Other platforms whose posts this source may bring.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether it may delete and replace posts; left out: on platforms that no other source brings.
    #[serde(default)]
    pub deletes: Option<bool>,
}

impl SourcesConfig {
    /// What a configured push source may do; `None`: none has this name.
    pub fn push_rights(&self, name: &str) -> Option<Rights> {
        let source = self.push.iter().find(|source| source.name == name)?;
        let mut own = source.all_platforms();
        own.retain(|platform| self.brings(platform, name));
        let keep = match source.deletes {
            None => own.into_iter().map(str::to_owned).collect(),
            Some(true) => Vec::new(),
            Some(false) => source.all_platforms().into_iter().map(str::to_owned).collect(),
        };
        Some(Rights { platform: source.platform.clone(), platforms: source.platforms.clone(), keep })
    }

    /// What a push source may do, configured or not. One that isn't configured brings its own platform, named as itself,
    /// unless another source brings that platform; the error says so.
    pub fn rights_of(&self, source: &str) -> std::result::Result<Rights, String> {
        if let Some(rights) = self.push_rights(source) {
            return Ok(rights);
        }
        match source == "x" || self.brings(source, source) {
            true => {
                Err(format!("{source:?} is the platform of another source: configure this source in [[sources.push]]"))
            }
            false => Ok(Rights::of(source)),
        }
    }

    /// The configured push sources with their tokens.
    pub fn push_tokens(&self) -> Result<Vec<(String, String)>> {
        let mut tokens: Vec<(String, String)> = Vec::new();
        for source in &self.push {
            let token = secrets::read(&source.token_env, "")
                .with_context(|| format!("sources.push {:?}: set {}", source.name, source.token_env))?;
            let token = token.expose_secret().to_owned();
            if let Some((other, _)) = tokens.iter().find(|(_, known)| *known == token) {
                bail!("sources.push {:?} and {other:?} have the same token; give each its own", source.name);
            }
            tokens.push((source.name.clone(), token));
        }
        Ok(tokens)
    }

    /// Whether a configured source besides the push source `name` brings posts of this platform.
    pub fn brings(&self, platform: &str, name: &str) -> bool {
        let others = self.push.iter().filter(|source| source.name != name);
        (platform == "x" && self.x.enabled) || others.flat_map(PushConfig::all_platforms).any(|other| other == platform)
    }
}

impl PushConfig {
    fn all_platforms(&self) -> Vec<&str> {
        std::iter::once(self.platform.as_str()).chain(self.platforms.iter().map(String::as_str)).collect()
    }
}
impl XConfig {
    /// The bearer token from the environment or the file.
    pub fn token(&self) -> Result<SecretString> {
        secrets::read(&self.token_env, &self.token_file)
            .with_context(|| format!("sources.x: put the bearer token into the environment variable {} or name a file in sources.x.token_file", self.token_env))
    }
}
