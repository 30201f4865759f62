//! Secrets of SSM Parameter Store and of AWS Secrets Manager.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::{GET_PARAMETER, GET_SECRET};
use domain::{Error, Result};
use secrecy::SecretString;
use serde_json::{Value, json};

/// The value of a parameter, decrypted.
pub async fn parameter(client: &Client, name: &str) -> Result<SecretString> {
    let answer = client.json(GET_PARAMETER, &json!({"Name": name, "WithDecryption": true})).await?;
    text(&answer["Parameter"]["Value"]).ok_or_else(|| Failure::unreadable(GET_PARAMETER, "it has no value").into())
}

/// The text of a secret. `name#key` is one value of a secret that is a JSON object.
pub async fn secret(client: &Client, name: &str) -> Result<SecretString> {
    let (id, key) = name.split_once('#').map_or((name, None), |(id, key)| (id, Some(key)));
    let answer = client.json(GET_SECRET, &json!({"SecretId": id})).await?;
    let whole =
        answer["SecretString"].as_str().ok_or_else(|| Error::reject(format!("the secret {id:?} is not a text")))?;
    let Some(key) = key else { return Ok(whole.trim().to_owned().into()) };
    let object: Value = serde_json::from_str(whole).unwrap_or_default();
    text(&object[key])
        .ok_or_else(|| Error::reject(format!("the secret {id:?} is not a JSON object with the text {key:?}")))
}

fn text(value: &Value) -> Option<SecretString> {
    value.as_str().map(|text| text.trim().to_owned().into())
}
