//! For tests only: fakes of the ports, the conformance suites that every implementation passes, and simulators of the
//! outside world. Never linked into the binary.

pub mod conformance;
pub mod fakes;
mod memory_history;
pub mod memory_lake;
pub mod memory_queue;
pub mod posts;
pub mod x_simulator;

pub use fakes::{FakeEnricher, FakeGeocoder, FakeNotifier, FakeTranslator};
pub use memory_lake::MemoryLake;
pub use memory_queue::MemoryQueue;
pub use x_simulator::{SimulatorConfig, XSimulator};
