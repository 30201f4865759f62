//! Categories that a user defines himself: a file of names, descriptions and examples ([`CategorySet`]), a head that tells
//! them ([`CategoryHead`]: zero-shot by embedding, or trained in process from eight examples a class), and its
//! cross-validated figures ([`Evaluation`]). Sentence embeddings come in from outside ([`Embed`]).

mod evaluate;
mod features;
mod head;
mod set;

pub use domain::CategoryDefinition;
pub use domain::categories::OTHER;
pub use evaluate::{ClassFigures, Evaluation, evaluate};
pub use head::{CategoryHead, Method};
pub use set::CategorySet;

use crate::error::Result;

/// Examples that every class needs before a head is trained.
pub const EXAMPLES_TO_TRAIN: usize = 8;

/// Turns texts into sentence embeddings of one fixed width.
pub trait Embed {
    /// One embedding a text, in order.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

impl<F: Fn(&[&str]) -> Result<Vec<Vec<f32>>>> Embed for F {
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self(texts)
    }
}
