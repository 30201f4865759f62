//! The one error of this crate. Its kind says what a caller does: nothing here is worth a retry, for nothing here
//! depends on a network.

use domain::ErrorKind;
use std::path::PathBuf;

/// The result of a call into this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong while loading a model or reading a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of a model folder can't be read.
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file was read and does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Malformed { path: PathBuf, problem: String },
    /// A model that this engine does not run, with what to do about it.
    #[error("unsupported model: {0}")]
    Unsupported(String),
    /// A setting or a table that contradicts itself.
    #[error("{0}")]
    Invalid(String),
    /// One text that can't be understood.
    #[error("text: {0}")]
    Text(String),
}

impl Error {
    /// A file that does not hold what it should.
    pub fn malformed(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), problem: problem.into() }
    }

    /// What a caller does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Text(_) => ErrorKind::Reject,
            _ => ErrorKind::Stop,
        }
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        domain::Error::caused(error.kind(), error.to_string(), error)
    }
}
