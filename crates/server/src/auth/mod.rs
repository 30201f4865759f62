//! Who asks: users with roles, sessions of browsers, tokens of programs. Passwords are kept as Argon2id hashes, sessions
//! and tokens as SHA-256 of a random text of 256 bits, so that the state file gives nobody a way in.

mod accounts;
mod attempts;
mod client;
mod documents;
mod operator;
mod password;
mod secret;
mod sessions;
mod tokens;
mod who;

pub(crate) use accounts::Accounts;
pub(crate) use attempts::{Attempts, Trier};
pub(crate) use client::ClientAddress;
pub use client::ForwardedHeader;
pub(crate) use documents::{Account, Token, TokenScope};
pub use operator::{UserSummary, add_user, change_role, create_first_admin, remove_user, reset_password, users};
pub(crate) use secret::digest;
pub(crate) use sessions::{DEVICE_AGE_MAX, Session, public_id};
pub(crate) use tokens::TokenOrder;
pub use tokens::set_push_tokens;
pub(crate) use who::{DEVICE_COOKIE, Pass, SESSION_COOKIE, Via, Who, bearer, cookie};

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
