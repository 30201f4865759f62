//! The connectors: what brings posts from outside into the queue. Each is one folder. They share how posts are stored and
//! connections are held ([`kit`]), how records are read ([`record`], [`formats`]) and what the program asks of them
//! ([`connector`]).
//!
//! Relies on the ports of `domain` alone. Never enriches a text and never drops a post silently: what can't be read goes
//! to the dead letters with its reason.

pub mod connector;
mod error;
pub mod file;
pub mod formats;
pub mod kit;
pub mod push;
pub mod record;
pub mod sample;
pub mod x;

pub use connector::{Check, Connector, Context};
pub use error::{Error, Result};
pub use file::{FileConfig, FileSource};
pub use push::PushSource;
pub use record::{Origin, Rejection};
