//! The stages a post passes, in order: where workers run on other machines, forward from the queue to a broker; lease,
//! understand, commit to the lake, acknowledge; and, beside them, the watch that turns the lake's counts into anomalies. It relies on the ports of `domain` alone for disks and
//! models, and holds no business rule of its own.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod carry;
pub mod forward;
mod patience;
pub mod understand;
pub mod watch;

pub use carry::{Carry, CarryConfig, Committed};
pub use forward::{Forward, ForwardConfig};
pub use understand::Understand;
pub use watch::{Watch, WatchConfig};
