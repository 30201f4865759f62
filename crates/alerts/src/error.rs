//! What can be wrong with an alert's configuration or its delivery.

use domain::ErrorKind;

/// An error of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("address {0} may not be called: internal networks are not allowed by the configuration")]
    Forbidden(String),
    #[error("address {0:?} is not a web address")]
    Address(String),
    #[error("mail address {0:?} can't be read")]
    Mailbox(String),
    #[error("template of channel could not be rendered")]
    Template(#[from] minijinja::Error),
    #[error("HTTP client could not be built")]
    Client(#[from] reqwest::Error),
    #[error("mail transport could not be built")]
    Mail(#[from] lettre::transport::smtp::Error),
}

impl Error {
    /// All of them stay wrong until someone changes the configuration.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Reject
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        Self::caused(error.kind(), error.to_string(), error)
    }
}
