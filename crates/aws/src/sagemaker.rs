//! Amazon SageMaker: one endpoint, real-time or serverless, that speaks JSON as the containers of Hugging Face do.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::INVOKE_ENDPOINT;
use serde_json::Value;

/// What the model answers.
pub async fn invoke(client: &Client, endpoint: &str, body: &Value) -> Result<Value, Failure> {
    let path = format!("/endpoints/{endpoint}/invocations");
    let answer = client.call(INVOKE_ENDPOINT, &path, body.to_string()).await?;
    serde_json::from_slice(&answer).map_err(|error| Failure::unreadable(INVOKE_ENDPOINT, error))
}

/// Whether a name can be an endpoint's.
pub fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !name.is_empty() && name.len() <= 63 && name.chars().all(is_allowed)
}
