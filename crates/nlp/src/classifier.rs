//! Any Hugging Face classifier in place of one of our heads: a folder with its files, read by our [`crate::encoder`].

use crate::encoder::{Encoder, HeadInfo, Level, Options, Reading, probabilities};
use crate::error::{Error, Result};
use std::path::Path;

/// A sequence or token classifier from a model folder.
pub struct Classifier {
    encoder: Encoder,
}

/// A label with its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub label: String,
    /// 0 to 1; the labels of one text add up to 1 unless they don't exclude each other.
    pub probability: f32,
}

impl Classifier {
    /// Loads `config.json`, the weights and the tokenizer of a folder.
    pub fn load(dir: &Path, options: Options) -> Result<Self> {
        let encoder = Encoder::load(dir, options)?;
        if encoder.heads().len() != 1 {
            return Err(Error::Unsupported(format!("{} is not a classifier with one head", dir.display())));
        }
        Ok(Self { encoder })
    }

    /// The engine underneath.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Its head: level and labels.
    pub fn head(&self) -> Option<&HeadInfo> {
        self.encoder.heads().next()
    }

    /// True when it labels words rather than texts.
    pub fn labels_words(&self) -> bool {
        self.head().is_some_and(|head| head.level == Level::Piece)
    }

    /// Labels of each text with their probabilities, in the order of the model; for sequence classifiers.
    pub fn classify(&self, texts: &[&str]) -> Vec<Result<Vec<Scored>>> {
        self.encoder.read(texts).into_iter().map(|reading| reading.and_then(|reading| self.scored(&reading))).collect()
    }

    fn scored(&self, reading: &Reading) -> Result<Vec<Scored>> {
        let (Some(head), Some(logits)) = (self.head(), reading.logits.first()) else {
            return Err(Error::Invalid("the classifier has no head".into()));
        };
        if head.level == Level::Piece {
            return Err(Error::Invalid("this model labels words, not texts".into()));
        }
        let shares = if head.multi_label || logits.len() == 1 {
            logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
        } else {
            probabilities(logits, head.temperature)
        };
        let labels = head.labels.iter().cloned();
        Ok(labels.zip(shares).map(|(label, probability)| Scored { label, probability }).collect())
    }
}
