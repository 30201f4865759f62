//! The server: HTTP API with its OpenAPI document, live stream (SSE), sign-in, and the embedded dashboard. It relies on
//! the ports of `domain` (`Analytics`, `StateStore`, `PostQueue`, `Clock`, and those of `domain::operations`). Invariant: it answers no read
//! and no write without knowing who asks (only the sign-in, the health pages, the metrics and the dashboard's own files
//! are open).

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod answers;
mod api;
mod app;
mod audit;
mod audit_layer;
pub mod auth;
mod body;
mod config;
mod csv;
mod dashboard;
mod error;
mod filter;
mod guard;
mod health;
mod listen;
mod mcp;
mod service;
mod tls;

pub use api::document;
pub use app::{LivePosts, Ports};
pub use auth::RoleGroups;
pub use config::Config;
pub use error::Error;
pub use health::serve_health;
pub use service::Server;
pub use tls::TlsFiles;

#[cfg(test)]
mod tests;
