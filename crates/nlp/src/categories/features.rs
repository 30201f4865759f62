//! What a trained head sees of a post: its sentence embedding, centred on the examples, and tf-idf of words, word pairs
//! and character n-grams. Embeddings of the e5 kind lie in a narrow cone; without its axis they spread.

use crate::linear::Features;
use crate::text::{is_mark, scan};
use domain::EntityKind;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most n-grams kept; the ones in the most examples stay.
const VOCABULARY_MAX: usize = 20_000;
/// Words read of a text.
const WORDS_MAX: usize = 400;

/// Learned from the examples: the centre of the embeddings and the known n-grams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Encoding {
    centre: Vec<f32>,
    /// Brings centred embeddings to unit length on average, times their say.
    scale: f32,
    /// Hashes of the known n-grams, rising, with the weight of each.
    ngrams: Vec<u32>,
    idf: Vec<f32>,
}

/// One text as it comes in.
pub(super) struct Reading {
    pub(super) embedding: Vec<f32>,
    pub(super) counts: HashMap<u32, f32>,
}

impl Reading {
    pub(super) fn new(text: &str, embedding: Vec<f32>) -> Self {
        Self { embedding, counts: ngram_counts(text) }
    }
}

impl Encoding {
    /// Learns from the readings of the examples; `say` is what the embedding counts against the n-grams.
    pub(super) fn learn(readings: &[&Reading], say: f32) -> Self {
        let width = readings.iter().map(|r| r.embedding.len()).max().unwrap_or(0);
        let count = readings.len().max(1) as f32;
        let mut centre = vec![0.0_f32; width];
        for reading in readings {
            centre.iter_mut().zip(&reading.embedding).for_each(|(c, e)| *c += e / count);
        }
        let spread = |r: &&Reading| r.embedding.iter().zip(&centre).map(|(e, c)| (e - c).powi(2)).sum::<f32>();
        let mean = (readings.iter().map(spread).sum::<f32>() / count).sqrt();
        let (ngrams, idf) = vocabulary(readings);
        Self { centre, scale: say / mean.max(1e-6), ngrams, idf }
    }

    pub(super) fn embedding_width(&self) -> usize {
        self.centre.len()
    }

    /// Number of feature positions.
    pub(super) fn width(&self) -> usize {
        self.centre.len() + self.ngrams.len()
    }

    /// The lists belong together.
    pub(super) fn is_sound(&self) -> bool {
        self.ngrams.len() == self.idf.len() && self.scale.is_finite() && self.ngrams.is_sorted()
    }

    pub(super) fn features(&self, reading: &Reading) -> Features {
        let mut features = Features::default();
        for (position, (e, c)) in reading.embedding.iter().zip(&self.centre).enumerate() {
            features.push(position as u32, (e - c) * self.scale);
        }
        let mut known: Vec<(u32, f32)> = reading
            .counts
            .iter()
            .filter_map(|(hash, count)| {
                let at = self.ngrams.binary_search(hash).ok()?;
                Some((at as u32, (1.0 + count.ln()) * self.idf[at]))
            })
            .collect();
        // A map's order is not fixed, and sums of floats depend on it.
        known.sort_unstable_by_key(|pair| pair.0);
        let norm = known.iter().map(|(_, value)| value * value).sum::<f32>().sqrt().max(1e-6);
        for (at, value) in known {
            features.push(self.centre.len() as u32 + at, value / norm);
        }
        features
    }
}

/// N-grams that stand in at least two examples, with their inverse document frequency.
fn vocabulary(readings: &[&Reading]) -> (Vec<u32>, Vec<f32>) {
    let mut documents: HashMap<u32, u32> = HashMap::new();
    for hash in readings.iter().flat_map(|r| r.counts.keys()) {
        *documents.entry(*hash).or_default() += 1;
    }
    let mut kept: Vec<(u32, u32)> = documents.into_iter().filter(|(_, count)| *count >= 2).collect();
    kept.sort_unstable_by_key(|&(hash, count)| (std::cmp::Reverse(count), hash));
    kept.truncate(VOCABULARY_MAX);
    kept.sort_unstable();
    let total = 1.0 + readings.len() as f32;
    kept.into_iter().map(|(hash, count)| (hash, (total / (1.0 + count as f32)).ln() + 1.0)).unzip()
}

/// Words, word pairs, and character n-grams (3 to 5) with word borders, by hash.
fn ngram_counts(text: &str) -> HashMap<u32, f32> {
    let mut counts: HashMap<u32, f32> = HashMap::new();
    let mut add = |hash: u32| *counts.entry(hash).or_default() += 1.0;
    let words = words(text);
    for (index, word) in words.iter().enumerate() {
        add(hash(word.chars(), 1));
        if let Some(next) = words.get(index + 1) {
            add(hash(word.chars().chain([' ']).chain(next.chars()), 2));
        }
        let bordered: Vec<char> = std::iter::once('_').chain(word.chars().take(30)).chain(['_']).collect();
        for n in 3..=5 {
            bordered.windows(n).for_each(|ngram| add(hash(ngram.iter().copied(), 3)));
        }
    }
    counts
}

/// Words in lower case, without names, links and emoji.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut at = 0;
    let mut push = |part: &str| {
        let split = part.split(|c: char| !(c.is_alphanumeric() || is_mark(c) || matches!(c, '\'' | '’')));
        words.extend(split.filter(|w| !w.is_empty()).take(WORDS_MAX).map(str::to_lowercase));
    };
    for span in scan(text) {
        push(&text[at..span.bytes.start]);
        if matches!(span.kind, EntityKind::Hashtag | EntityKind::Cashtag) {
            push(&text[span.bytes.clone()]);
        }
        at = span.bytes.end;
    }
    push(&text[at..]);
    words.truncate(WORDS_MAX);
    words
}

fn hash(chars: impl Iterator<Item = char>, seed: u32) -> u32 {
    chars.fold(2_166_136_261 ^ seed, |hash, c| (hash ^ c as u32).wrapping_mul(16_777_619))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_leave_out_names_and_links() {
        assert_eq!(words("@a Don't LOSE #MyBag http://t.co/x 😀 2"), ["don't", "lose", "mybag", "2"]);
    }

    #[test]
    fn features_are_centred_and_of_unit_length() {
        let readings = [Reading::new("lost bag", vec![1.0, 3.0]), Reading::new("lost seat", vec![3.0, 3.0])];
        let encoding = Encoding::learn(&readings.iter().collect::<Vec<_>>(), 1.0);
        let features = encoding.features(&readings[0]);
        assert_eq!(features.values[..2], [-1.0, 0.0]);
        let norm: f32 = features.values[2..].iter().map(|v| v * v).sum();
        assert!((norm - 1.0).abs() < 1e-5 && encoding.is_sound());
        assert_eq!(encoding.width(), 2 + encoding.ngrams.len());
    }
}
