//! Users and tokens as documents of the state store.

use super::Role;
use crate::error::Error;
use domain::{Swap, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) const USER: &str = "user";
pub(super) const TOKEN: &str = "token";
/// Who made the tokens that stand in the configuration; no user is called so.
pub(super) const CONFIGURATION: &str = "configuration";

/// A user as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(super) password_hash: String,
    pub(crate) created_at: Timestamp,
    /// The password was made by the program: until it is changed, nothing else can be done with it.
    #[serde(default)]
    pub(crate) must_change_password: bool,
}

/// A document as it was read, with what it says: the first is what a compare and swap expects.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    pub(super) document: Value,
    pub(crate) it: T,
}

impl<T> Kept<T> {
    /// The condition that the document is still so.
    pub(super) fn unchanged(&self, kind: &str, key: &str) -> Swap {
        Swap::new(kind, key, Some(self.document.clone()), Some(self.document.clone()))
    }

    /// Takes the document away, if it is still so.
    pub(super) fn removed(&self, kind: &str, key: &str) -> Swap {
        Swap::new(kind, key, Some(self.document.clone()), None)
    }
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "for", rename_all = "lowercase")]
pub(crate) enum TokenScope {
    /// The API, as a user with this role.
    Api { role: Role },
    /// Pushing posts as this source, and nothing else.
    Push { source: String },
}

/// A program's token as kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Public id, for listing and removing.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: TokenScope,
    pub(crate) created_by: String,
    pub(crate) created_at: Timestamp,
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) used_at: Option<Timestamp>,
    /// Made for a source that no configuration knew: the token is what makes it a source.
    #[serde(default)]
    pub(crate) makes_source: bool,
}

impl Token {
    pub(super) fn of_configuration(&self) -> bool {
        self.created_by == CONFIGURATION
    }

    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(Error::internal)
}

pub(super) fn kept<T: DeserializeOwned>(document: Value) -> Result<Kept<T>, Error> {
    let it = serde_json::from_value(document.clone()).map_err(Error::internal)?;
    Ok(Kept { document, it })
}

/// Others came between all tries.
pub(super) fn contended() -> Error {
    Error::unavailable("Users are being changed by others at this moment. Try again.", "compare and swap lost")
}
