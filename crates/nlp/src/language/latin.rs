//! A second opinion on texts in Latin letters: which of the languages that people post most, Hindi in Latin letters among
//! them, or none of these. fastText was trained on tidy sentences and knows neither slang nor romanised Hindi.
//!
//! A linear classifier over hashed words and character n-grams (2 to 4, with word borders), eight bits a weight; made by
//! `cargo run -p nlp --example train_language` from tweets (see there). It sees letters only: no links, names, hashtags,
//! digits or punctuation, so it can't learn the habits of a data set's collector.
//!
//! Layout, little endian: `OLAT1`, classes u8, bits u8, classes x (length u8, name), classes x (scale f32, bias f32),
//! then 2^bits rows of one i8 per class.

use crate::error::{Error, Result};
use crate::linear::{Features, Linear, softmax};

const MAGIC: &[u8] = b"OLAT1";
/// The class of all languages that have none of their own.
pub(super) const REST: &str = "xx";
/// Words read of a text: more don't change the answer.
const WORDS_MAX: usize = 120;

/// The loaded tables.
pub(super) struct LatinModel {
    pub(super) classes: Vec<String>,
    bits: u32,
    scales: Vec<(f32, f32)>,
    weights: Vec<i8>,
}

impl LatinModel {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        Self::parse_parts(bytes).ok_or_else(|| Error::malformed("latin-posts.bin", "not a table of this version"))
    }

    fn parse_parts(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |length: usize| -> Option<&[u8]> {
            let (head, tail) = rest.split_at_checked(length)?;
            rest = tail;
            Some(head)
        };
        let [count, bits] = *take(2)?.first_chunk::<2>()?;
        if count < 2 || !(8..=20).contains(&bits) {
            return None;
        }
        let mut classes = Vec::new();
        for _ in 0..count {
            let length = take(1)?[0] as usize;
            classes.push(String::from_utf8(take(length)?.to_vec()).ok()?);
        }
        let mut scales = Vec::new();
        for _ in 0..count {
            let scale = f32::from_le_bytes(*take(4)?.first_chunk()?);
            scales.push((scale, f32::from_le_bytes(*take(4)?.first_chunk()?)));
        }
        let weights: Vec<i8> = take(count as usize * (1 << bits))?.iter().map(|&b| b as i8).collect();
        rest.is_empty().then_some(Self { classes, bits: bits.into(), scales, weights })
    }

    /// Probability of each class; `words` are in lower case.
    pub(super) fn probabilities(&self, words: &str) -> Vec<f32> {
        let classes = self.classes.len();
        let mut sums = vec![0_i32; classes];
        let mut count = 0_u32;
        visit(words, self.bits, |position| {
            let row = &self.weights[position as usize * classes..(position as usize + 1) * classes];
            sums.iter_mut().zip(row).for_each(|(s, &w)| *s += i32::from(w));
            count += 1;
        });
        let norm = 1.0 / (count.max(1) as f32).sqrt();
        let mut scores: Vec<f32> =
            sums.iter().zip(&self.scales).map(|(&s, (scale, bias))| s as f32 * norm * scale + bias).collect();
        softmax(&mut scores);
        scores
    }
}

/// The features that the tables are trained on.
pub(super) fn features(words: &str, bits: u32) -> Features {
    let mut features = Features::default();
    visit(words, bits, |position| features.push(position, 1.0));
    let norm = 1.0 / (features.values.len().max(1) as f32).sqrt();
    features.values.iter_mut().for_each(|value| *value = norm);
    features
}

/// Writes the tables of a trained model.
pub(super) fn encode(model: &Linear, classes: &[String], bits: u32) -> Vec<u8> {
    let count = classes.len();
    let mut out = MAGIC.to_vec();
    out.extend([count as u8, bits as u8]);
    for class in classes {
        out.push(class.len() as u8);
        out.extend(class.as_bytes());
    }
    let body = &model.weights[..count << bits];
    let scale_of = |class: usize| {
        let largest = body.iter().skip(class).step_by(count).fold(0.0_f32, |max, w| max.max(w.abs()));
        largest.max(1e-6) / 127.0
    };
    let scales: Vec<f32> = (0..count).map(scale_of).collect();
    for (class, scale) in scales.iter().enumerate() {
        out.extend(scale.to_le_bytes());
        out.extend(model.weights[(count << bits) + class].to_le_bytes());
    }
    out.extend(body.iter().enumerate().map(|(i, w)| (w / scales[i % count]).round() as i8 as u8));
    out
}

/// Calls back with the position of every word and every n-gram of characters, word borders included.
fn visit(words: &str, bits: u32, mut visit: impl FnMut(u32)) {
    let shift = 32 - bits;
    let mut bordered: Vec<char> = Vec::with_capacity(32);
    for word in words.split_whitespace().take(WORDS_MAX) {
        bordered.clear();
        bordered.push('_');
        bordered.extend(word.chars().take(30));
        bordered.push('_');
        // Whole words begin from another state, lest a short word be its own n-gram.
        visit(spread(bordered.iter().fold(HASH_START ^ 7, |hash, &c| add(hash, c))) >> shift);
        for start in 0..bordered.len() {
            let mut hash = HASH_START;
            for (n, &c) in bordered[start..].iter().take(4).enumerate() {
                hash = add(hash, c);
                if n > 0 {
                    visit(spread(hash) >> shift);
                }
            }
        }
    }
}

/// FNV-1a over characters instead of bytes.
const HASH_START: u32 = 2_166_136_261;

fn add(hash: u32, c: char) -> u32 {
    (hash ^ c as u32).wrapping_mul(16_777_619)
}

/// The high bits of a product hold the most: Fibonacci hashing.
fn spread(hash: u32) -> u32 {
    hash.wrapping_mul(2_654_435_769)
}
