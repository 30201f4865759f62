//! The runtime API of Lambda: asks for the next invocation and sends its answer, over HTTP on this machine.

use crate::clock::clock;
use domain::{Error, ErrorKind, Result};
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const VERSION: &str = "2018-06-01";

/// An event, and until when its answer is waited for.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) until: Instant,
    pub(super) event: Value,
}

/// The API at its address.
pub(super) struct RuntimeApi {
    client: reqwest::Client,
    base: String,
}

fn failed(error: reqwest::Error) -> Error {
    Error::caused(ErrorKind::Stop, format!("call the Lambda runtime API: {error}"), error)
}

impl RuntimeApi {
    pub(super) fn new(address: &str) -> Result<Self> {
        // No timeout: Lambda holds the question until there is an event, which may take hours.
        let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
        Ok(Self { client, base: format!("http://{address}/{VERSION}/runtime") })
    }

    /// Waits for an invocation.
    pub(super) async fn next(&self) -> Result<Invocation> {
        let response = self.client.get(format!("{}/invocation/next", self.base)).send().await.map_err(failed)?;
        let response = response.error_for_status().map_err(failed)?;
        let id = header(&response, "lambda-runtime-aws-request-id");
        let id = id.ok_or_else(|| Error::stop("the Lambda runtime API gave an invocation without an id"))?;
        let deadline_ms = header(&response, "lambda-runtime-deadline-ms").and_then(|ms| ms.parse::<i64>().ok());
        let left_ms = deadline_ms.map_or(i64::MAX, |ms| ms - clock().now().timestamp_millis());
        // Lambda's own limit is 15 minutes.
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default()).min(Duration::from_secs(900));
        let body = response.bytes().await.map_err(failed)?;
        Ok(Invocation { id, until: Instant::now() + left, event: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Sends the answer of an invocation. Whoever waits for a failure learns from its type whether to try again.
    pub(super) async fn answer(&self, id: &str, outcome: Result<Value>) -> Result<()> {
        let url = format!("{}/invocation/{id}", self.base);
        let post = match outcome {
            Ok(answer) => self.client.post(format!("{url}/response")).body(answer.to_string()),
            Err(error) => {
                let kind = if error.kind() == ErrorKind::Retry { "Overheard.Retry" } else { "Overheard.Input" };
                tracing::error!(%error, "the invocation failed");
                let body = json!({"errorType": kind, "errorMessage": error.to_string()});
                let post = self.client.post(format!("{url}/error")).body(body.to_string());
                post.header("lambda-runtime-function-error-type", kind)
            }
        };
        // An answer that comes too late is refused; its event comes again.
        post.send().await.map(drop).map_err(failed)
    }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}
