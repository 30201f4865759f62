//! NATS JetStream. One stream of kind work queue holds the batches, a subject for each partition, and what workers set
//! aside. Each partition has one consumer that lends one message at a time (`max_ack_pending` 1): batches come in order,
//! and the next worker takes over as soon as a lease runs out. Work queues with pinned clients were considered: a pin
//! gives the same order, but leaves a partition alone for seconds when its worker is gone, and one worker would pin all
//! partitions.
//!
//! The client is our own: JetStream is requests and replies over a text protocol, and six of them are used here. The
//! crate `async-nats` would add eleven crates and turn on features of shared ones.

mod connection;
mod jetstream;
mod tls;

pub use connection::SignIn;
pub use jetstream::{Found, MESSAGE_MAX, Nats, Settings};
