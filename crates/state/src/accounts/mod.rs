//! Who may ask: users with roles, sessions of browsers, tokens of programs. Passwords are kept as Argon2id hashes, sessions
//! and tokens as SHA-256 of a random text of 256 bits, so that the state file gives nobody a way in.
//!
//! Every change of a user is a compare and swap, so a removed user does not come back, and two admins can't remove each
//! other at once. Sessions and tokens are opened only while their user is still as he was read.

mod documents;
mod error;
mod password;
mod secret;
mod sessions;
mod store;
mod tokens;
mod users;

pub use documents::{Account, Role, Session, Token, TokenOrder, TokenScope, public_id};
pub use error::AccountError;
pub use secret::{digest, new_secret};
pub use sessions::DEVICE_AGE_MAX;
pub use store::Accounts;
