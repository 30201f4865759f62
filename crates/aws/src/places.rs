//! Amazon Location (`geo-places`, version 2), by an API key or by signed calls.

use crate::client::Client;
use crate::failure::Failure;
use crate::operation::{GEOCODE, Operation, REVERSE_GEOCODE};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The places of a text.
pub async fn geocode(client: &Client, key: Option<&SecretString>, body: &Value) -> Result<Bytes, Failure> {
    call(client, GEOCODE, "/v2/geocode", key, body).await
}

/// The place of a point.
pub async fn reverse_geocode(client: &Client, key: Option<&SecretString>, body: &Value) -> Result<Bytes, Failure> {
    call(client, REVERSE_GEOCODE, "/v2/reverse-geocode", key, body).await
}

async fn call(
    client: &Client,
    operation: Operation,
    path: &str,
    key: Option<&SecretString>,
    body: &Value,
) -> Result<Bytes, Failure> {
    let path = key.map_or_else(|| path.to_owned(), |key| format!("{path}?key={}", key.expose_secret()));
    client.call(operation, &path, body.to_string()).await
}
