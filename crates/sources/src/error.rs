//! What can go wrong with a source as a whole. What is wrong with a single record is a [`crate::record::Rejection`].

use domain::ErrorKind;

/// An error of a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, or standard input, can't be read.
    #[error("can't read {name}: {source}")]
    Read { name: String, source: std::io::Error },
    /// The input as a whole is not what it should be, with how to mend it.
    #[error("{0}")]
    Input(String),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
    /// A platform refuses us for good (401, 403).
    #[error("{0}")]
    Refused(String),
    /// A platform can't be reached, or asks to wait.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody asked us to stop.
    #[error("stopped before the end")]
    Stopped,
    /// The queue or the state failed.
    #[error(transparent)]
    Port(#[from] domain::Error),
}

impl Error {
    /// What a caller does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable(_) => ErrorKind::Retry,
            Self::Input(_) | Self::Setting(_) | Self::Refused(_) => ErrorKind::Reject,
            Self::Read { .. } | Self::Stopped => ErrorKind::Stop,
            Self::Port(error) => error.kind(),
        }
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Port(error) => error,
            other => Self::caused(other.kind(), other.to_string(), other),
        }
    }
}

/// The result of a call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
