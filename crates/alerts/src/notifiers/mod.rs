//! The channels: one file each. All take the same notification and differ in wire and words only.

pub(crate) mod email;
mod log;
pub(crate) mod slack;
mod sns;
mod sqs;
pub(crate) mod teams;
pub(crate) mod webhook;

pub use email::{Email, Encryption, Smtp};
pub use log::Log;
pub use slack::Slack;
pub use sns::Sns;
pub use sqs::Sqs;
pub use teams::Teams;
pub use webhook::Webhook;

use domain::{Error, ErrorKind, Notification, Result};
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Bytes of an answer that are read: enough for its words.
const ANSWER_MAX: usize = 4096;
/// Characters of an answer that are told.
const WORDS_MAX: usize = 200;

/// Sends a request; an error says what its answer means for the outbox. Gives back the answer's words. Addresses that
/// are secrets never reach an error or a log.
pub(crate) async fn deliver(request: reqwest::RequestBuilder) -> Result<Answer> {
    let mut response = request.send().await.map_err(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let forbidden = causes.clone().any(is_forbidden);
        let cause = causes.last().map(|cause| format!(": {cause}")).unwrap_or_default();
        let kind = if forbidden { ErrorKind::Reject } else { ErrorKind::Retry };
        let what = if forbidden { "address is not allowed".to_owned() } else { format!("request failed{cause}") };
        Error::caused(kind, what, error.without_url())
    })?;
    let words = words(&mut response).await;
    let (status, headers) = (response.status(), response.headers());
    if status.is_success() {
        return Ok(Answer { status, words, retry_after: retry_after(headers) });
    }
    let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let kind = if passing { ErrorKind::Retry } else { ErrorKind::Reject };
    let mut reason = format!("receiver answered {status}");
    if status.is_redirection() {
        // Not followed: the new address was not checked by anybody.
        let place = moved_to(headers).map(|place| format!(" to {place}")).unwrap_or_default();
        reason.push_str(&format!(": the address has moved{place}; change it in the configuration"));
    } else if !words.is_empty() {
        reason.push_str(&format!(": {words}"));
    }
    Err(Error::new(kind, reason).after(retry_after(headers)))
}

/// Whether the cause is an address that may not be called.
fn is_forbidden(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<crate::Error>().is_some()
}

/// What the outcome of a call to AWS means for the outbox.
fn deliver_by_aws(outcome: Result<(), aws::Failure>) -> Result<()> {
    outcome.map_err(|failure| {
        let is_forbidden = failure.causes().any(is_forbidden);
        if is_forbidden { Error::caused(ErrorKind::Reject, "address is not allowed", failure) } else { failure.into() }
    })
}

/// Group and id of a notification where messages have an order: its repeats are dropped.
struct Order {
    id: String,
}

fn order(notification: &Notification) -> Order {
    Order { id: hex(&Sha256::digest(&notification.id)) }
}

impl Order {
    fn place(&self) -> aws::sqs::Place<'_> {
        aws::sqs::Place { group: "overheard", id: &self.id }
    }
}

/// An answer with a status of success.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The beginning of the body, in one line.
    pub(crate) words: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Answer {
    /// The failure of a receiver that answers with success and tells the failure in the body.
    pub(crate) fn failure(self) -> Error {
        let Self { status, words, retry_after } = self;
        Error::retry(format!("receiver answered {status}, but: {words}")).after(retry_after)
    }
}

async fn words(response: &mut Response) -> String {
    let mut body = Vec::new();
    // An answer that breaks off has told its status all the same.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= ANSWER_MAX {
            break;
        }
    }
    body.truncate(ANSWER_MAX);
    let text = String::from_utf8_lossy(&body);
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    line.collect::<Vec<_>>().join(" ").chars().take(WORDS_MAX).collect()
}

/// `Retry-After`, as seconds or as a date by the receiver's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.ceil()).ok();
    }
    let date = |text: &str| chrono::DateTime::parse_from_rfc2822(text).ok();
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    (date(asked)? - now).to_std().ok()
}

/// Where a redirect leads, without what may be secret in it: the path and the query.
fn moved_to(headers: &HeaderMap) -> Option<String> {
    let place = url::Url::parse(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    place.host().map(|_| place.origin().ascii_serialization())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let wait = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, "Wed, 21 Oct 2015 07:27:00 GMT".parse().unwrap());
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("30"), Some(30));
        assert_eq!(wait("0.3"), Some(1));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        for nonsense in ["-1", "soon", "NaN", "Wed, 21 Oct 2015 07:26:00 GMT"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }
}
