//! The channels: one file each. All take the same notification and differ in wire and words only.

pub(crate) mod email;
mod log;
pub(crate) mod slack;
mod sns;
pub(crate) mod teams;
pub(crate) mod webhook;

pub use email::{Email, Smtp};
pub use log::Log;
pub use slack::Slack;
pub use sns::Sns;
pub use teams::Teams;
pub use webhook::Webhook;

use domain::{Error, ErrorKind, Result};

/// Sends a request; what the answer means for the outbox. `secret_url` addresses never reach an error or a log.
pub(crate) async fn deliver(request: reqwest::RequestBuilder) -> Result<()> {
    let response = request.send().await.map_err(|error| {
        let forbidden = std::iter::successors(std::error::Error::source(&error), |e| e.source())
            .any(|cause| cause.downcast_ref::<crate::Error>().is_some());
        let kind = if forbidden { ErrorKind::Reject } else { ErrorKind::Retry };
        Error::caused(kind, if forbidden { "address is not allowed" } else { "request failed" }, error.without_url())
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let kind = if passing { ErrorKind::Retry } else { ErrorKind::Reject };
    Err(Error::new(kind, format!("receiver answered {status}")))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
