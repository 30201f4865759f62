//! The connectors: what brings posts from the outside into the queue. Each is one file or folder; what they share is how
//! a record is read ([`record`]) and how posts go into the queue without loss ([`hand_over`]).
//!
//! Relies on the ports of `domain` alone; never understands a text, never drops a post silently: what can't be read goes
//! to the dead letters with its reason.

mod error;
pub mod file;
mod hand_over;
pub mod push;
pub mod record;
pub mod sample;
pub mod x;

pub use error::{Error, Result};
pub use file::{FileConfig, FileSource};
pub use push::PushSource;
pub use record::{Origin, Rejection};
pub use x::{XConfig, XSource};
