//! The documents of users, sessions, devices and tokens.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a person or program may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Corrects posts, edits topics and rules, acknowledges alerts, asks SQL.
    Analyst,
    /// Manages users, tokens and dead letters.
    Admin,
}

impl Role {
    /// The word that people and programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }
}

/// A user, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub role: Role,
    pub(super) password_hash: String,
    pub created_at: Timestamp,
    /// The password was made by the program: until it is changed, nothing else can be done with it.
    #[serde(default)]
    pub must_change_password: bool,
    /// The person at the provider by which the user signs in; none: the user has a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A browser's session, by the digest of its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    pub user: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where it was opened from.
    #[serde(default)]
    pub address: String,
    /// The browser, in its own words.
    #[serde(default)]
    pub browser: String,
    #[serde(default)]
    pub seen_at: Option<Timestamp>,
}

/// A device from which someone signed in, by the digest of its secret.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) user: String,
    pub(super) expires_at: Timestamp,
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "for", rename_all = "lowercase")]
pub enum TokenScope {
    /// The API, as a user with this role.
    Api { role: Role },
    /// Pushing posts as this source, and nothing else.
    Push { source: String },
}

impl TokenScope {
    /// The source that a token for push stands for, without its kind (`push:`).
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Api { .. } => None,
            Self::Push { source } => Some(source.strip_prefix("push:").unwrap_or(source)),
        }
    }
}

/// A program's token, by the digest of its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// Public id, for listing and removing.
    pub id: String,
    pub name: String,
    pub scope: TokenScope,
    pub created_by: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub used_at: Option<Timestamp>,
    /// Made for a source that no configuration knew: the token is what makes it a source.
    #[serde(default)]
    pub makes_source: bool,
}

/// Who made the tokens that stand in the configuration; no user is called so.
pub(super) const CONFIGURATION: &str = "configuration";

impl Token {
    pub(super) fn is_configured(&self) -> bool {
        self.created_by == CONFIGURATION
    }

    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// A token to be made.
pub struct TokenOrder {
    pub name: String,
    pub scope: TokenScope,
    pub expires_at: Option<Timestamp>,
    pub makes_source: bool,
}

/// Public id of a session or token: enough of its digest to tell it from the others.
pub fn public_id(key: &str) -> &str {
    key.get(..12).unwrap_or(key)
}
