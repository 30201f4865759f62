//! Settings of a source of the kind `x`.

use super::config::XConfig;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// Where X is, and what it charges.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Environment variable with the bearer token.
    pub token_env: String,
    /// File with the bearer token.
    pub token_file: String,
    /// Address of the API.
    pub base_url: String,
    /// What X charges for a post read, US dollars.
    pub cost_per_post: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let usual = XConfig::new(SecretString::default());
        Self {
            token_env: "X_BEARER_TOKEN".into(),
            token_file: String::new(),
            base_url: usual.base_url,
            cost_per_post: usual.cost_per_post_usd,
        }
    }
}

impl Settings {
    /// The connector's settings with this token.
    pub(super) fn config(&self, bearer_token: SecretString) -> XConfig {
        XConfig {
            base_url: self.base_url.trim_end_matches('/').to_owned(),
            cost_per_post_usd: self.cost_per_post,
            ..XConfig::new(bearer_token)
        }
    }
}
