//! Alerts: rules judged by facts (`evaluator`, `gather`, `evaluate`) and tried on history (`backtest`), the life of an alert
//! (`life`, kept by `AlertBook`), the texts of each channel (`words`), an outbox that survives restarts and is shared by
//! processes (`outbox`), and the notifiers. Relies on `domain::StateStore` for all that must outlive the process, and on
//! `domain::RuleHistory` for stored posts. Never notifies twice for one onset; never calls an address that the rules
//! forbid.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod address;
mod backtest;
mod book;
mod channels;
mod component_alerts;
mod digest;
mod entry;
mod error;
mod evaluate;
mod evaluator;
mod facts;
mod gather;
#[cfg(test)]
mod golden;
mod life;
pub mod notifiers;
mod outbox;
mod past;
mod rules;
mod service;
pub mod words;

pub use address::client;
pub use backtest::back_test;
pub use book::AlertBook;
pub use channels::{ChannelTrouble, troubles};
pub use digest::Digest;
pub use entry::{Claim, Delivery, Entry};
pub use error::Error;
pub use evaluate::{Finding, evaluate};
pub use evaluator::RuleEvaluator;
pub use facts::{Facts, SourceFacts, WindowFacts};
pub use gather::rule_problems;
pub use life::{Policy, StoredAlert, Undelivered};
pub use outbox::Outbox;
pub use rules::Rules;
pub use service::{Config, Service};
pub use words::Letterhead;
