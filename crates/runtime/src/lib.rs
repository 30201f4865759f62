//! The running installation without an HTTP server: typed configuration, opening of queue, lake, models and connectors,
//! the services of each role and their order, reload of what people edit, deletion, backups, model downloads, and the
//! ports that the server asks.
//!
//! Never serves HTTP, so that a process that only listens or enriches links no server.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod admin;
pub mod agreement;
pub mod alerting;
pub mod backups;
mod clock;
pub mod config;
mod connectors;
mod exclusive;
mod follow;
pub mod forget;
mod hub;
mod installation;
pub mod lambda;
mod metrics;
pub mod models;
mod roles;
pub mod secrets;
mod supervisor;
mod traffic;
mod upkeep;
mod usage;
pub mod wiring;

pub use clock::clock;
pub use config::Config;
pub use connectors::Connectors;
pub use installation::Installation;
pub use roles::{Role, Roles};
pub use supervisor::{Stage, Supervisor};
