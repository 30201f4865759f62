//! Brokers between a listener and workers on other machines: NATS JetStream and Amazon SQS. A broker carries batches and decides
//! nothing: the listener's queue gives offsets and keeps every post until the lake has it, and the lake takes each offset
//! once. A broker that loses, doubles or reorders a batch costs time only.
//!
//! Each partition's batches are lent one at a time and in order, to whichever worker asks next. Several workers share
//! the partitions without knowing of each other.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod nats;
pub mod sqs;
mod transport;
mod wire;
mod work;

pub use work::Worker;
