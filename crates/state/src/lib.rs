//! The small documents of an installation: topics, alert rules, saved queries, categories, corrections, cursors, alerts
//! and notifications, users with their sessions and tokens, the audit log. A repository is made where it is needed, over
//! any `domain::StateStore`:
//!
//! ```
//! # async fn shown(store: &dyn domain::StateStore) -> domain::Result<()> {
//! for topic in state::Topics::new(store).list().await? {
//!     println!("{}: {}", topic.name, topic.query);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Kind`] lists every kind of document. Kinds, keys and the JSON of documents are stored formats: they don't change
//! (`tests/formats.rs`). Other crates read and write documents through this crate only (`tidy` checks it). Whatever is
//! read, changed and written again goes through a compare and swap, so that processes that share a folder never overwrite
//! each other.
//!
//! A new kind of document is a [`Kind`] and a type with `Serialize` and `Deserialize`, stored by [`Documents`]; one that
//! people save under a name implements [`Named`] instead.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod accounts;
mod audit;
mod blocked;
mod categories;
mod copies;
mod cursors;
mod deletions;
mod documents;
mod exclusive;
mod kind;
mod labels;
mod memory;
mod named;
mod queries;
mod sources;

pub use accounts::{
    Account, AccountError, Accounts, DEVICE_AGE_MAX, Role, Session, Token, TokenOrder, TokenScope, digest, new_secret,
    public_id,
};
pub use audit::{AuditEntry, AuditLog, AuditPage};
pub use blocked::BlockedAuthors;
pub use categories::Categories;
pub use copies::edit_copies;
pub use cursors::Cursor;
pub use deletions::{DeletionNote, Deletions};
pub use documents::{Documents, Stored, TRIES_MAX};
pub use exclusive::{Exclusive, HOLD, RENEW, TAKEOVER};
pub use kind::Kind;
pub use labels::{Correction, Labels};
pub use memory::MemoryState;
pub use named::{Named, NamedDocuments, SaveError};
pub use queries::SavedQuery;
pub use sources::SavedSource;

/// The topics.
pub type Topics<'a> = NamedDocuments<'a, domain::Topic>;
/// The alert rules that were saved; others stand in the configuration.
pub type Rules<'a> = NamedDocuments<'a, domain::AlertRule>;
/// The queries that people saved.
pub type SavedQueries<'a> = NamedDocuments<'a, SavedQuery>;
/// The sources that people added; others stand in the configuration.
pub type SavedSources<'a> = NamedDocuments<'a, SavedSource>;
