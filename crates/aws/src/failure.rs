//! Why a call failed, told apart by AWS's own error codes: what passes by itself, what somebody has to change, and what
//! is wrong with this one request.

use crate::operation::Operation;
use domain::{Error, ErrorKind};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::fmt;

/// What a failure means for the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Too many calls: later.
    Throttled,
    /// The service or the way to it fails: later.
    Passing,
    /// The clocks differ.
    Skewed,
    /// Credentials are missing, wrong, expired, or lack a permission.
    Denied,
    /// This request is refused and would be again.
    Refused,
}

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    pub(crate) operation: Operation,
    pub class: Class,
    pub status: Option<StatusCode>,
    /// The service's code, such as `ThrottlingException`; empty where none was told.
    pub code: String,
    pub message: String,
    pub(crate) cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Codes of too many calls, as AWS's own clients know them.
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];
/// Codes of failures that pass, though their status may be 4xx.
const PASSING: [&str; 9] = [
    "InternalError",
    "InternalFailure",
    "InternalServerException",
    "KMSThrottlingException",
    "ModelNotReadyException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];
/// Codes that a wrong clock can cause; the last three have other causes as well.
const SKEWED: [&str; 6] = [
    "RequestTimeTooSkewed",
    "RequestExpired",
    "RequestInTheFuture",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
];
/// What codes of refused callers contain.
const DENIED: [&str; 9] = [
    "AccessDenied",
    "AuthorizationError",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "UnrecognizedClient",
];

fn class(status: StatusCode, code: &str) -> Class {
    if THROTTLING.contains(&code) || status == StatusCode::TOO_MANY_REQUESTS && !PASSING.contains(&code) {
        Class::Throttled
    } else if SKEWED.contains(&code) {
        Class::Skewed
    } else if PASSING.contains(&code) || status.is_server_error() {
        Class::Passing
    } else if DENIED.iter().any(|word| code.contains(word)) || matches!(status.as_u16(), 401 | 403) {
        Class::Denied
    } else {
        Class::Refused
    }
}

impl Failure {
    /// The failure that an answer tells: JSON, or XML of the query protocol.
    pub(crate) fn of_answer(operation: Operation, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let named = |names: &[&str]| names.iter().find_map(|name| json[*name].as_str().map(str::to_owned));
        let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let code = header.or_else(|| named(&["__type", "code", "Code"])).or_else(|| element(&text, "Code"));
        let code = code.unwrap_or_default();
        // com.amazonaws.sqs#QueueDoesNotExist, ThrottlingException:http://...
        let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
        let message = named(&["message", "Message", "OriginalMessage"]).or_else(|| element(&text, "Message"));
        let message = message.unwrap_or_default().chars().take(300).collect();
        Self { operation, class: class(status, &code), status: Some(status), code, message, cause: None }
    }

    /// Nothing was answered. The address may hold a key and is not told.
    pub(crate) fn unanswered(operation: Operation, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        let message = causes.last().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        let cause = Some(error.into());
        Self { operation, class: Class::Passing, status: None, code: String::new(), message, cause }
    }

    /// An answer of success that holds none.
    pub(crate) fn unreadable(operation: Operation, what: impl fmt::Display) -> Self {
        let message = format!("the answer can't be read: {what}");
        Self { operation, class: Class::Passing, status: None, code: String::new(), message, cause: None }
    }

    /// There are no credentials.
    pub(crate) fn no_credentials(operation: Operation, error: Error) -> Self {
        let message = error.to_string();
        Self { operation, class: Class::Denied, status: None, code: String::new(), message, cause: Some(error.into()) }
    }

    /// Whether another try may succeed soon.
    pub(crate) fn is_worth_another(&self) -> bool {
        matches!(self.class, Class::Throttled | Class::Passing)
    }

    /// What led to it.
    pub fn causes(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        std::iter::successors(std::error::Error::source(self), |cause| cause.source())
    }

    /// As the error of a port: what is refused is refused for good, everything else may work later.
    pub fn kind(&self) -> ErrorKind {
        if self.class == Class::Refused { ErrorKind::Reject } else { ErrorKind::Retry }
    }
}

/// The text of an XML element.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text.to_owned())
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, status, code, message, .. } = self;
        write!(out, "{} {}", operation.service.name(), operation.name)?;
        match status {
            Some(status) => write!(out, " answered {status}")?,
            None => write!(out, " failed")?,
        }
        let parts: Vec<&str> = [code.as_str(), message].into_iter().filter(|part| !part.is_empty()).collect();
        if !parts.is_empty() {
            write!(out, ": {}", parts.join(": "))?;
        }
        if self.class == Class::Denied && status.is_some() {
            write!(out, " (the credentials need the permission {})", operation.permission)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::caused(failure.kind(), failure.to_string(), failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{PUBLISH, SEND_MESSAGE};

    fn told(status: u16, body: &str) -> (Class, String) {
        let status = StatusCode::from_u16(status).unwrap();
        let failure = Failure::of_answer(SEND_MESSAGE, status, &HeaderMap::new(), body.as_bytes());
        (failure.class, failure.to_string())
    }

    #[test]
    fn codes_say_what_a_failure_means() {
        for (status, body, class) in [
            (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, Class::Throttled),
            (400, r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}"#, Class::Refused),
            (400, r#"{"__type":"AccessDeniedException","Message":"no"}"#, Class::Denied),
            (403, r#"{"__type":"InvalidSignatureException","message":"Signature expired"}"#, Class::Skewed),
            (429, "{}", Class::Throttled),
            (429, r#"{"code":"ModelNotReadyException"}"#, Class::Passing),
            (503, "<html>", Class::Passing),
            (400, "", Class::Refused),
        ] {
            assert_eq!(told(status, body).0, class, "{status} {body}");
        }
        assert_eq!(
            told(403, r#"{"__type":"AccessDenied","message":"not you"}"#).1,
            "Amazon SQS SendMessage answered 403 Forbidden: AccessDenied: not you (the credentials need the permission \
             sqs:SendMessage)"
        );
    }

    #[test]
    fn the_query_protocol_tells_its_code_in_xml() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate</Message></Error></ErrorResponse>";
        let failure = Failure::of_answer(PUBLISH, StatusCode::BAD_REQUEST, &HeaderMap::new(), xml.as_bytes());
        assert_eq!(
            (failure.class, failure.code.as_str(), failure.message.as_str()),
            (Class::Throttled, "Throttling", "Rate")
        );
    }
}
