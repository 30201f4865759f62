//! Answers of platforms: read with a limit on their size, failures in words.

use super::failure::Failure;
use reqwest::Response;

/// Longest answer that is read; a page of any platform has well under a megabyte.
const ANSWER_MAX_BYTES: usize = 16 << 20;
/// How programs introduce themselves.
pub(crate) const USER_AGENT: &str = concat!("overheard/", env!("CARGO_PKG_VERSION"));

/// The cause at the bottom, which says more than "error sending request". Without the address, which may hold a query.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The body of an answer. `who`: the platform, for the message of a failure.
pub(crate) async fn read(mut answer: Response, who: &str) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_MAX_BYTES => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let limit = ANSWER_MAX_BYTES >> 20;
                return Err(Failure::Network(format!("the answer of {who} is longer than {limit} MiB")));
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(Failure::Network(format!("the answer broke off: {}", innermost(&error)))),
        }
    }
}
