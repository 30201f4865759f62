//! Tells people once: rules judged against facts (`evaluate`), the life of an alert (`AlertBook`), the words of each
//! channel (`words`), an outbox that survives restarts (`outbox`), and the notifiers. Relies on `domain::StateStore` for all
//! that must outlive the process. Never notifies twice for one onset; never calls an address that the rules forbid.

mod address;
mod book;
mod digest;
mod error;
mod evaluate;
mod facts;
#[cfg(test)]
mod golden;
pub mod notifiers;
mod outbox;
mod quiet;
mod rehearsal;
mod service;
pub mod words;

pub use address::AddressPolicy;
pub use book::{AlertBook, Policy, StoredAlert};
pub use digest::Digest;
pub use error::Error;
pub use evaluate::{Finding, evaluate};
pub use facts::{Facts, SourceFacts, WindowFacts, windows_needed};
pub use outbox::{Delivery, Entry, Outbox};
pub use quiet::QuietHours;
pub use rehearsal::rehearse;
pub use service::{Config, Service};
pub use words::Letterhead;
