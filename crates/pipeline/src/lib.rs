//! The stages a post passes, in order: where workers run on other machines, from the queue to a broker (`forward`), or handed over by whoever brings them (`handed`); lease,
//! understand, commit to the lake, acknowledge (`carry`). Beside them: enriching stored posts again (`reprocess`), after
//! a correction as well (`corrections`), replaying dead letters (`replay`), and the watch that turns the lake's counts
//! into anomalies (`watch`). It relies on the ports of `domain` alone for disks and
//! models, and holds no business rule of its own.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod carry;
pub mod copied;
pub mod corrections;
pub mod forward;
pub mod handed;
mod patience;
pub mod replay;
pub mod reprocess;
pub mod understand;
pub mod watch;

pub use carry::{Carry, CarryConfig, Committed};
pub use copied::Copied;
pub use corrections::Corrections;
pub use forward::{Forward, ForwardConfig};
pub use handed::{Handed, Outcome};
pub use replay::Replay;
pub use reprocess::{Reprocess, Reprocessed};
pub use understand::Understand;
pub use watch::{Watch, WatchConfig};
