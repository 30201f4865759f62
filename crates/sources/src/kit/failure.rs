//! Why a request to a platform brought nothing.

use domain::Timestamp;

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or one that broke off.
    Network(String),
    /// 429. `retry_at`: when the platform says that requests count anew.
    Rate { message: String, retry_at: Option<Timestamp> },
    /// 401 and 403: the platform does not let us in.
    Refused { message: String, advice: String },
    /// Any other status. `retry_at`: as with `Rate`, for a 503 that names a time.
    Http { status: u16, message: String, retry_at: Option<Timestamp> },
}

impl Failure {
    /// What the platform answered, without our advice.
    pub(crate) fn answer_mut(&mut self) -> &mut String {
        match self {
            Self::Network(message)
            | Self::Rate { message, .. }
            | Self::Http { message, .. }
            | Self::Refused { message, .. } => message,
        }
    }

    /// For people.
    pub fn message(&self) -> String {
        match self {
            Self::Network(message) | Self::Rate { message, .. } | Self::Http { message, .. } => message.clone(),
            Self::Refused { message, advice } => format!("{message}: {advice}"),
        }
    }
}
