//! Who asks, by the accounts of `state`: from where, and with which session or token.

mod attempts;
mod client;
mod groups;
mod link;
mod who;

pub(crate) use attempts::{Attempts, Trier};
pub(crate) use client::ClientAddress;
pub use client::ForwardedHeader;
pub use groups::RoleGroups;
pub use link::SignInLink;
pub(crate) use link::is_local;
pub(crate) use who::{ATTEMPT_COOKIE, DEVICE_COOKIE, Pass, SESSION_COOKIE, Via, Who, bearer, cookie, who_has};
