//! The one error that crosses a port. Its kind says what the caller does next; the message says what failed, in words
//! that an operator can act on.

use std::fmt;
use std::time::Duration;

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may work later: wait and try again.
    Retry,
    /// This input is bad and will stay bad: set it aside with the reason.
    Reject,
    /// The question needs more time or memory than it may take: ask for less, such as a shorter time range.
    TooCostly,
    /// This process must not go on (a failed durable write, a corrupt file).
    Stop,
}

/// An error at a port.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of a call through a port.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without a cause of its own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: None }
    }

    /// An error with the cause that led to it.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: Some(source.into()) }
    }

    /// Shorthand for [`ErrorKind::Retry`].
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retry, message)
    }

    /// Shorthand for [`ErrorKind::Reject`].
    pub fn reject(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Reject, message)
    }

    /// Shorthand for [`ErrorKind::Stop`].
    pub fn stop(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Stop, message)
    }

    /// The same error, with the wait that the other side asks for before the next try.
    pub fn after(self, wait: Option<Duration>) -> Self {
        Self { retry_after: wait, ..self }
    }

    /// How long the other side asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What the caller does about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}
