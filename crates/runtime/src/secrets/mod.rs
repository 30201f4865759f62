//! Secrets, which the settings name and never hold: in an environment variable, a file, a parameter of SSM or a secret of
//! Secrets Manager. Settings say `token_ssm = "/overheard/x"` or `token_secret = "overheard/x"` in place of
//! `token_env = "X_TOKEN"`; inside the program the three are one name, `ssm:/overheard/x` for example.

mod remote;

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// The ends of settings that name a secret at AWS, and what the secret's name begins with in the program.
const REMOTE: [(&str, &str); 2] = [("_ssm", "ssm:"), ("_secret", "secret:")];

/// Whether the name is that of a secret at AWS.
pub fn is_remote(name: &str) -> bool {
    REMOTE.iter().any(|(_, prefix)| name.starts_with(prefix))
}

/// A setting that names a secret at AWS, as the setting that names a variable: `token_ssm` is `token_env`.
pub fn as_env(key: &str, value: &str) -> Option<(String, String)> {
    let named =
        |(end, prefix): &(&str, &str)| Some((format!("{}_env", key.strip_suffix(end)?), format!("{prefix}{value}")));
    if value.is_empty() { None } else { REMOTE.iter().find_map(named) }
}

/// Names all secrets of a configuration in one way. False: there was none at AWS.
pub fn name_all(value: &mut Value) -> bool {
    match value {
        Value::Object(table) => {
            let remote = |(key, value): (&String, &Value)| Some((key.clone(), as_env(key, value.as_str()?)?));
            let renamed: Vec<(String, (String, String))> = table.iter().filter_map(remote).collect();
            let mut is_changed = !renamed.is_empty();
            for (old, (new, name)) in renamed {
                table.remove(&old);
                table.insert(new, name.into());
            }
            table.values_mut().for_each(|value| is_changed |= name_all(value));
            is_changed
        }
        Value::Array(items) => items.iter_mut().fold(false, |is_changed, item| name_all(item) | is_changed),
        _ => false,
    }
}

/// Adds the settings that name secrets at AWS to a JSON Schema, beside those that name variables.
pub fn add_to_schema(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
                let keys: Vec<String> =
                    properties.keys().filter_map(|key| Some(key.strip_suffix("_env")?.to_owned())).collect();
                for (key, (end, _)) in keys.iter().flat_map(|key| REMOTE.map(|remote| (key, remote))) {
                    let about = format!("In place of {key}_env: the name of a secret at AWS.");
                    properties.insert(format!("{key}{end}"), json!({"type": "string", "description": about}));
                }
            }
            if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|key| !key.as_str().is_some_and(|key| key.ends_with("_env")));
            }
            object.values_mut().for_each(add_to_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(add_to_schema),
        _ => {}
    }
}

/// Reads a secret from an environment variable or a file, or from AWS where the variable's name says so. From there it may
/// be some minutes old.
pub fn read(variable: &str, file: &str) -> Result<SecretString> {
    if is_remote(variable) {
        return remote::read(variable);
    }
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

/// The access key of the two variables, with the session token of `AWS_SESSION_TOKEN` where one is set. Where they have the
/// usual names and are not set, or have no names: the standard chain (profile, web identity, role).
pub fn aws_credentials(access_key_env: &str, secret_env: &str) -> Result<aws::Credentials> {
    let is_usual = |name: &str, usual: &str| name.is_empty() || name == usual && read(name, "").is_err();
    if is_usual(access_key_env, "AWS_ACCESS_KEY_ID") && is_usual(secret_env, "AWS_SECRET_ACCESS_KEY") {
        return Ok(aws::Credentials::standard()?);
    }
    let token = read("AWS_SESSION_TOKEN", "").ok();
    let (id, secret) = (read(access_key_env, "")?, read(secret_env, "")?);
    Ok(aws::Credentials::fixed(id.expose_secret(), &secret, token.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_at_aws_are_named_as_variables_are() {
        let mut config = json!({"sources": [{"token_ssm": "/overheard/x", "urls": ["a"]}, {"token_env": "X"}],
            "alerts": {"channels": [{"secret_secret": "desk#hook"}]}});
        assert!(name_all(&mut config));
        let expected = json!({"sources": [{"token_env": "ssm:/overheard/x", "urls": ["a"]}, {"token_env": "X"}],
            "alerts": {"channels": [{"secret_env": "secret:desk#hook"}]}});
        assert_eq!(config, expected);
        assert!(!name_all(&mut config), "nothing is left to name");
    }
}
