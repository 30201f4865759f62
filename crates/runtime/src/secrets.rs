//! Secrets, which the settings name and never hold: in an environment variable or a file.

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};

/// Reads a secret from an environment variable or a file.
pub fn read(variable: &str, file: &str) -> Result<SecretString> {
    if !variable.is_empty()
        && let Ok(value) = std::env::var(variable)
        && !value.trim().is_empty()
    {
        return Ok(SecretString::from(value.trim().to_owned()));
    }
    if !file.is_empty() {
        let value = std::fs::read_to_string(file).with_context(|| format!("read secret file {file}"))?;
        return Ok(SecretString::from(value.trim().to_owned()));
    }
    bail!("the environment variable {variable} is not set")
}

/// The access key of the two variables, with the session token of `AWS_SESSION_TOKEN` where one is set.
pub fn aws_credentials(access_key_env: &str, secret_env: &str) -> Result<aws_signature::Credentials> {
    Ok(aws_signature::Credentials {
        access_key_id: read(access_key_env, "")?.expose_secret().to_owned(),
        secret_access_key: read(secret_env, "")?,
        session_token: read("AWS_SESSION_TOKEN", "").ok(),
    })
}
