//! Tells people once: rules judged against facts (`evaluate`), the life of an alert (`life`, kept by `AlertBook`), the words
//! of each channel (`words`), an outbox that survives restarts and is shared by processes (`outbox`), and the notifiers. Relies on `domain::StateStore` for all
//! that must outlive the process. Never notifies twice for one onset; never calls an address that the rules forbid.

mod address;
mod book;
mod channels;
mod digest;
mod documents;
mod entry;
mod error;
mod evaluate;
mod facts;
#[cfg(test)]
mod golden;
mod life;
pub mod notifiers;
mod outbox;
mod rehearsal;
mod service;
pub mod words;

pub use address::AddressPolicy;
pub use book::AlertBook;
pub use channels::{ChannelTrouble, troubles};
pub use digest::Digest;
pub use entry::{Claim, Delivery, Entry};
pub use error::Error;
pub use evaluate::{Finding, evaluate};
pub use facts::{Facts, SourceFacts, WindowFacts};
pub use life::{Policy, StoredAlert, Undelivered};
pub use outbox::Outbox;
pub use rehearsal::rehearse;
pub use service::{Config, Service};
pub use words::Letterhead;

/// The kinds of documents that hold words of posts: alerts and notifications, with the anomalies behind them.
pub const DOCUMENTS_WITH_POSTS: [&str; 6] =
    ["alert", "alert_done", "alert_unreadable", "notification", "notification_done", "notification_unreadable"];
