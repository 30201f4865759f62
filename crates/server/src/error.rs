//! The one error of the API: a status, a sentence for the person who asked, the field it is about, and a cause that
//! goes to the log only.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{ErrorKind, Fault};
use serde::Serialize;
use state::{AccountError, SaveError};
use utoipa::ToSchema;

/// What went wrong, in words that a client may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// One sentence for people.
    pub message: String,
    /// The parameter or body field that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Where in the field's text it begins, in characters from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin: Option<u32>,
    /// One past the last character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u32>,
}

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problem.message)]
pub struct Error {
    status: StatusCode,
    problem: Problem,
    cause: Option<String>,
    retry_after_s: Option<u32>,
}

impl Error {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let problem = Problem { message: message.into(), field: None, begin: None, end: None };
        Self { status, problem, cause: None, retry_after_s: None }
    }

    /// 400, with the field that is wrong.
    pub fn bad_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, message);
        error.problem.field = Some(field.into());
        error
    }

    /// 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 408.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    /// 409.
    pub fn conflict(field: &str, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::CONFLICT, message);
        error.problem.field = Some(field.into());
        error
    }

    /// 421: this server does not go by that name.
    pub(crate) fn misdirected(message: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, message)
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 415, for a content encoding; the answer names the one that is accepted.
    pub(crate) fn unsupported_encoding(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 429, with the time to wait.
    pub fn too_many(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// 500; the cause goes to the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let message = "Something failed inside. The server's log says what.";
        Self { cause: Some(cause.to_string()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, message) }
    }

    /// 503, it may work soon.
    pub fn unavailable(message: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            retry_after_s: Some(2),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }

    /// What a client is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What a client is told.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Errors of a question that the server itself put: the person is not to blame.
    pub(crate) fn of_port(error: domain::Error) -> Self {
        match error.kind() {
            ErrorKind::Retry => Self::unavailable("The data can't be read at this moment. Try again shortly.", error),
            // The message says what helps; not every question has a time range.
            ErrorKind::TooCostly => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            ErrorKind::Reject | ErrorKind::Stop => Self::internal(error),
        }
    }

    /// Errors about what a person sent in `field`: a refusal is told to him.
    pub(crate) fn of_input(field: &str, error: domain::Error) -> Self {
        match error.kind() {
            ErrorKind::Reject | ErrorKind::TooCostly => Self::bad_field(field, error.to_string()),
            ErrorKind::Retry | ErrorKind::Stop => Self::of_port(error),
        }
    }
}

impl From<Fault> for Error {
    /// 400, with the field and where in it the mistake is.
    fn from(fault: Fault) -> Self {
        let begin = fault.at.map(|at| u32::try_from(at).unwrap_or(0));
        let mut error = Self::bad_field(fault.field, fault.message);
        (error.problem.begin, error.problem.end) = (begin, begin.map(|begin| begin + 1));
        error
    }
}

impl From<SaveError> for Error {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Invalid(fault) => fault.into(),
            SaveError::Full { what, count_max } => {
                Self::conflict("name", format!("There are {count_max} {what} already; remove one first."))
            }
            SaveError::Store(error) => Self::of_port(error),
        }
    }
}

impl From<AccountError> for Error {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Invalid(fault) => fault.into(),
            AccountError::Conflict(fault) => Self::conflict(&fault.field, fault.message),
            AccountError::Changed(message) => Self::unauthorized(message),
            AccountError::Busy(message) => Self::unavailable(message, message),
            AccountError::Store(error) => Self::of_port(error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(status = self.status.as_u16(), cause, "request failed");
        }
        let mut response = (self.status, Json(self.problem)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
