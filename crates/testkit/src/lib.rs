//! For tests only: fakes of the ports, the conformance suites that every implementation passes, and simulators of the
//! outside world. Never linked into the binary.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod aws_servers;
pub mod bluesky_server;
pub mod conformance;
pub mod fakes;
pub mod faulty_proxy;
pub mod feed_server;
pub mod list_servers;
pub mod mastodon_server;
mod memory_history;
pub mod memory_lake;
pub mod memory_queue;
pub mod posts;
pub mod random;
pub mod steps;
pub mod x_simulator;

pub use fakes::{FakeEnricher, FakeGeocoder, FakeNotifier, FakeTranslator};
pub use faulty_proxy::{FaultyProxy, Trouble};
pub use memory_lake::MemoryLake;
pub use memory_queue::MemoryQueue;
pub use steps::Steps;
pub use x_simulator::{SimulatorConfig, XSimulator};
