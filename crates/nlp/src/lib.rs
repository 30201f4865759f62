//! Text in, understanding out: language, sentiment, entities, key phrases, category and embedding of a post, read once.
//!
//! [`understand::Understanding`] is the one entry; it stands behind the port `domain::Enricher`. It relies on
//! [`encoder`] (our own engine for models of the BERT family, on the processor) and on rules and tables for the rest.
//! No network, no clock, no async: texts are taken, values returned, on threads of its own.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod categories;
pub mod classifier;
pub mod encoder;
mod error;
mod file;
pub mod language;
pub mod linear;
pub mod phrases;
pub mod text;
pub mod understand;

pub use error::{Error, Result};
pub use understand::{Config, Task, Understanding};
