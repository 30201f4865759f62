//! Why something about accounts was not done.

use domain::{Error, Fault};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A name or password that is not accepted.
    #[error("{}", .0.message)]
    Invalid(#[from] Fault),
    /// The state of other accounts forbids it.
    #[error("{}", .0.message)]
    Conflict(Fault),
    /// The user was changed or removed meanwhile: sign in again.
    #[error("{0}")]
    Changed(&'static str),
    /// It may work in a moment.
    #[error("{0}")]
    Busy(&'static str),
    #[error(transparent)]
    Store(#[from] Error),
}

impl AccountError {
    /// Something failed that neither a caller nor a person can help.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Store(Error::stop(format!("a password can't be hashed: {cause}")))
    }

    /// Others came between all tries.
    pub(super) fn contended() -> Self {
        Self::Busy("Users are being changed by others at this moment. Try again.")
    }
}
