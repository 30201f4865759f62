//! Who asks: users with roles, sessions of browsers, tokens of programs. Passwords are kept as Argon2id hashes, sessions
//! and tokens as SHA-256 of a random text of 256 bits, so that the state file gives nobody a way in.

mod accounts;
mod attempts;
mod password;
mod secret;
mod who;

pub(crate) use accounts::{Account, Accounts, Token, TokenScope};
pub use accounts::{allow_push, create_first_admin, set_password};
pub(crate) use attempts::Attempts;
pub(crate) use who::{Admin, Analyst, SESSION_COOKIE, Via, Viewer, bearer, cookie};

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
