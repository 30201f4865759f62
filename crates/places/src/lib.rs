//! From a name to coordinates: what an author writes about where he lives, a place named in a post, or the coordinates
//! that a post carries become a country, a region, a town and a point, with how sure we are. What can't be known stays
//! empty. Works on an index of GeoNames that is part of the binary (see `data/README.md`): no network, no clock, no
//! allocation at start. The index is read as it lies in the file, so that loading takes no time and memory is what a
//! look-up touches.
//!
//! The way of a text: [`text`] cuts it into words, `mention` finds the names among them, `resolve` decides which places
//! are meant, [`Gazetteer`] says so in the words of the house.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod compile;
mod coordinates;
mod fold;
mod gazetteer;
mod index;
mod json;
mod mention;
mod nearest;
mod post;
mod resolve;
mod sphere;
pub mod text;

pub use domain::PlaceHints as Hints;
pub use gazetteer::Gazetteer;
pub use json::geocode_line;
pub use post::{Clues, PostPlaces, of_post};

use domain::ErrorKind;

/// What can go wrong: only the index itself can.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not an index of this version, or are cut short.
    #[error("places index: {0}")]
    Index(&'static str),
    /// The names in the index can't be read.
    #[error("places index: names can't be read")]
    Names(#[from] fst::Error),
    /// A table to compile is not as `build/extract.py` writes it.
    #[error("places table {table}, line {line}: {reason}")]
    Table {
        /// File name of the table.
        table: String,
        /// 1-based; 0 for the file as a whole.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Always [`ErrorKind::Stop`]: a program with a broken index must not go on as if no place were known.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Stop
    }
}

impl From<Error> for domain::Error {
    fn from(error: Error) -> Self {
        domain::Error::caused(error.kind(), error.to_string(), error)
    }
}
