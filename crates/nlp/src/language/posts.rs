//! The classifier for posts: multinomial logistic regression over words and character n-grams ([`super::ngrams`]) and over
//! fastText's probabilities. It was trained on short texts and posts ([`super::train`]), which fastText was not.
//!
//! Layout, little endian:
//! ```text
//! "OLNG1", classes u8, labels u8, temperature f32, scale f32
//! classes x (length u8, name)                 language codes
//! labels x (length u8, name)                  labels of fastText
//! classes x f32                               biases
//! labels x classes x f32                      weights of fastText's labels
//! features u32, features x u32                hashes
//! features x u8                               weights of each feature that are not 0
//! weights x (class u8, weight i8)             in units of the scale
//! ```

use super::fasttext::Rows;
use super::ngrams;
use crate::error::{Error, Result};

const MAGIC: &[u8] = b"OLNG1";
/// Features at most; the shipped model has about 400,000.
const FEATURES_MAX: usize = 1 << 22;
/// fastText's probabilities at or below this say nothing.
const FLOOR: f32 = 1e-4;

/// A trained classifier.
#[derive(Debug, Default)]
pub(super) struct PostModel {
    pub(super) classes: Vec<String>,
    /// Labels of fastText in the order of the weights.
    pub(super) labels: Vec<String>,
    /// What scores are divided by, so that probabilities are calibrated.
    pub(super) temperature: f32,
    pub(super) scale: f32,
    pub(super) biases: Vec<f32>,
    /// One row of classes for each label.
    pub(super) label_weights: Vec<f32>,
    pub(super) hashes: Vec<u32>,
    /// Where the weights of each feature begin, and the end of the last.
    pub(super) starts: Vec<u32>,
    pub(super) weights: Vec<(u8, i8)>,
    /// The feature with a hash; see [`Self::indexed`].
    pub(super) rows: Rows,
}

/// What fastText's probability of a label counts as: 0 for next to nothing, 3.1 for certainty.
pub(super) fn label_value(probability: f32) -> f32 {
    if probability <= FLOOR { 0.0 } else { (probability / FLOOR).ln() / 3.0 }
}

impl PostModel {
    /// Score of each class for words and fastText's probabilities, in the order of [`Self::labels`]. The softmax of the
    /// scores is the probability.
    pub(super) fn scores(&self, words: &str, probabilities: &[f32]) -> Vec<f32> {
        let classes = self.classes.len();
        let mut sums = vec![0_i32; classes];
        let mut count = 0_u32;
        ngrams::visit(words, |hash| {
            count += 1;
            if let Some(row) = self.rows.get(hash).map(|row| row as usize) {
                for &(class, weight) in &self.weights[self.starts[row] as usize..self.starts[row + 1] as usize] {
                    sums[class as usize] += i32::from(weight);
                }
            }
        });
        let unit = self.scale / (count.max(1) as f32).sqrt();
        let mut scores: Vec<f32> = sums.iter().zip(&self.biases).map(|(&sum, bias)| sum as f32 * unit + bias).collect();
        for (row, &probability) in self.label_weights.chunks_exact(classes).zip(probabilities) {
            let value = label_value(probability);
            if value > 0.0 {
                scores.iter_mut().zip(row).for_each(|(score, weight)| *score += value * weight);
            }
        }
        scores.iter_mut().for_each(|score| *score /= self.temperature);
        scores
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        Self::parse_parts(bytes).ok_or_else(|| Error::malformed("language-posts.bin", "not a model of this version"))
    }

    fn parse_parts(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
        let [classes, labels] = *reader.take(2)?.first_chunk::<2>()?;
        let (classes, labels) = (classes as usize, labels as usize);
        let (temperature, scale) = (reader.f32()?, reader.f32()?);
        let mut model = Self { temperature, scale, ..Self::default() };
        model.classes = reader.names(classes)?;
        model.labels = reader.names(labels)?;
        model.biases = reader.f32s(classes)?;
        model.label_weights = reader.f32s(labels * classes)?;
        let features = reader.u32()? as usize;
        if classes < 2 || features > FEATURES_MAX || temperature <= 0.0 {
            return None;
        }
        model.hashes = reader.take(features * 4)?.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        model.starts.push(0);
        let mut end = 0_u32;
        for &count in reader.take(features)? {
            end += u32::from(count);
            model.starts.push(end);
        }
        let weights = reader.take(end as usize * 2)?.as_chunks::<2>().0;
        model.weights = weights.iter().map(|&[class, weight]| (class, weight as i8)).collect();
        let valid = model.weights.iter().all(|&(class, _)| (class as usize) < classes);
        (valid && reader.0.is_empty()).then(|| model.indexed())
    }

    /// With the table of hashes that [`Self::scores`] needs.
    pub(super) fn indexed(mut self) -> Self {
        let pairs: Vec<(u32, u32)> = self.hashes.iter().copied().zip(0..).collect();
        self.rows = Rows::with_pairs(&pairs);
        self
    }

    /// The bytes that [`Self::parse`] takes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([self.classes.len() as u8, self.labels.len() as u8]);
        out.extend(self.temperature.to_le_bytes());
        out.extend(self.scale.to_le_bytes());
        for name in self.classes.iter().chain(&self.labels) {
            out.push(name.len() as u8);
            out.extend(name.as_bytes());
        }
        self.biases.iter().chain(&self.label_weights).for_each(|value| out.extend(value.to_le_bytes()));
        out.extend((self.hashes.len() as u32).to_le_bytes());
        self.hashes.iter().for_each(|hash| out.extend(hash.to_le_bytes()));
        out.extend(self.starts.windows(2).map(|pair| (pair[1] - pair[0]) as u8));
        self.weights.iter().for_each(|&(class, weight)| out.extend([class, weight as u8]));
        out
    }
}

/// Takes values off the front of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn f32(&mut self) -> Option<f32> {
        self.u32().map(f32::from_bits).filter(|value| value.is_finite())
    }

    fn f32s(&mut self, count: usize) -> Option<Vec<f32>> {
        (0..count).map(|_| self.f32()).collect()
    }

    fn names(&mut self, count: usize) -> Option<Vec<String>> {
        let mut name = || {
            let length = self.take(1)?[0] as usize;
            String::from_utf8(self.take(length)?.to_vec()).ok()
        };
        (0..count).map(|_| name()).collect()
    }
}
