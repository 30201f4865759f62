//! Reader of fastText's compressed classifiers (`.ftz`) with hierarchical softmax: enough of the format for language
//! identification, and no more. Written here because the reader on crates.io allocates per word and reaches 42,000 posts
//! a second where we want 50,000 with everything around it; its results and fastText's own were the yardstick.
//!
//! Layout, little endian:
//! ```text
//! magic i32, version i32
//! dim ws epoch min_count neg word_ngrams loss model bucket minn maxn lr_update i32 x 12, t f64
//! size nwords nlabels i32, ntokens i64, pruned i64
//! size x (word bytes, 0, count i64, kind i8)        kind 0 word, 1 label
//! pruned x (bucket i32, row i32)
//! quantised u8, matrix                               input rows: words, then kept n-gram buckets
//! quantised output u8, matrix                        one row per inner node of the label tree
//! matrix, quantised: norms u8, rows i64, dim i64, codes i32 + bytes, quantiser, [norm codes, quantiser]
//! matrix, plain:     rows i64, dim i64, f32 x rows x dim
//! quantiser: dim nsubq dsub lastdsub i32, 256 x dim f32
//! ```

use crate::error::{Error, Result};
use std::collections::HashMap;

const MAGIC: i32 = 793_712_314;
const VERSION: i32 = 12;
const HIERARCHICAL_SOFTMAX: i32 = 1;
/// Longest word whose n-grams are taken, in bytes: longer ones are noise, and time must not grow with them.
const WORD_BYTES_MAX: usize = 256;
const NONE: u32 = u32::MAX;
/// Numbers of a matrix at most, and labels: lid.176 has 800,000 and 176. A few bytes of codes may stand for a row of a
/// thousand numbers.
const NUMBERS_MAX: usize = 1 << 24;
const LABELS_MAX: usize = 10_000;

/// A loaded model. Rows are kept as plain floats (3 MB for lid.176): one look-up is then one addition of 16 numbers.
pub(super) struct FastText {
    dim: usize,
    minn: usize,
    maxn: usize,
    bucket: u32,
    words: HashMap<Vec<u8>, u32>,
    buckets: Rows,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Children of the inner nodes; node `labels.len() + i` has row `i` of the output.
    children: Vec<(u32, u32)>,
    /// Names without fastText's prefix.
    labels: Vec<String>,
}

impl FastText {
    /// Reads a model; every length is checked against the bytes that are there.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { bytes };
        if reader.i32()? != MAGIC || reader.i32()? != VERSION {
            return Err(bad("not a fastText model of version 12"));
        }
        let mut args = [0_i32; 12];
        for arg in &mut args {
            *arg = reader.i32()?;
        }
        reader.take(8)?;
        let [dim, _, _, _, _, _, loss, _, bucket, minn, maxn, _] = args;
        if loss != HIERARCHICAL_SOFTMAX
            || !(1..=1024).contains(&dim)
            || bucket < 1
            || minn < 1
            || maxn < minn
            || maxn > 16
        {
            return Err(bad(
                "a fastText model, but not one for language identification (hierarchical softmax, n-grams)",
            ));
        }
        let vocabulary = Vocabulary::read(&mut reader)?;
        let dim = dim as usize;
        let (input, rows) = read_matrix(&mut reader, dim)?;
        let (output, nodes) = read_matrix(&mut reader, dim)?;
        let kept = vocabulary.buckets.rows_max.map_or(0, |row| row as usize + 1);
        if rows < vocabulary.words.len() + kept || nodes < vocabulary.labels.len().saturating_sub(1) {
            return Err(bad("fewer rows than words or labels"));
        }
        let counts: Vec<i64> = vocabulary.labels.iter().map(|(_, count)| *count).collect();
        Ok(Self {
            dim,
            minn: minn as usize,
            maxn: maxn as usize,
            bucket: bucket as u32,
            buckets: vocabulary.buckets.offset(vocabulary.words.len() as u32),
            words: vocabulary.words,
            input,
            output,
            children: label_tree(&counts),
            labels: vocabulary.labels.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// Names of the labels, in the order of the probabilities.
    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Probability of each label for words separated by white space. False when nothing in the text is known to the model.
    pub(super) fn probabilities(&self, text: &str, out: &mut Vec<f32>) -> bool {
        let mut hidden = vec![0.0_f32; self.dim];
        let mut count = 0_u32;
        let mut bordered = Vec::with_capacity(64);
        for word in text.split_whitespace() {
            count += self.add_word(word.as_bytes(), &mut bordered, &mut hidden);
        }
        if count == 0 {
            return false;
        }
        // The original appends an end-of-line token to every text.
        count += self.add_word(b"</s>", &mut bordered, &mut hidden);
        let scale = 1.0 / count as f32;
        hidden.iter_mut().for_each(|x| *x *= scale);
        self.descend(&hidden, out);
        true
    }

    fn add_word(&self, word: &[u8], bordered: &mut Vec<u8>, hidden: &mut [f32]) -> u32 {
        let mut count = 0;
        if let Some(&row) = self.words.get(word) {
            self.add_row(row, hidden);
            count += 1;
        }
        if word == b"</s>" {
            return count;
        }
        bordered.clear();
        bordered.push(b'<');
        bordered.extend_from_slice(&word[..word.len().min(WORD_BYTES_MAX)]);
        bordered.push(b'>');
        for start in (0..bordered.len()).filter(|&i| !is_continuation(bordered[i])) {
            count += self.add_ngrams(bordered, start, hidden);
        }
        count
    }

    /// The n-grams of characters that begin at a byte.
    fn add_ngrams(&self, word: &[u8], start: usize, hidden: &mut [f32]) -> u32 {
        let (mut hash, mut at, mut count) = (2_166_136_261_u32, start, 0);
        for n in 1..=self.maxn {
            let Some(&first) = word.get(at) else { break };
            hash = fnv_signed(hash, first);
            at += 1;
            while word.get(at).is_some_and(|&b| is_continuation(b)) {
                hash = fnv_signed(hash, word[at]);
                at += 1;
            }
            if n < self.minn || (n == 1 && (start == 0 || at == word.len())) {
                continue;
            }
            if let Some(row) = self.buckets.get(hash % self.bucket) {
                self.add_row(row, hidden);
                count += 1;
            }
        }
        count
    }

    fn add_row(&self, row: u32, hidden: &mut [f32]) {
        let from = row as usize * self.dim;
        if let Some(values) = self.input.get(from..from + self.dim) {
            hidden.iter_mut().zip(values).for_each(|(h, v)| *h += v);
        }
    }

    /// From the root to every leaf: a label's probability is the product of the turns that lead to it.
    fn descend(&self, hidden: &[f32], out: &mut Vec<f32>) {
        let leaves = self.labels.len();
        out.clear();
        out.resize(leaves + self.children.len(), 0.0);
        if let Some(root) = out.last_mut() {
            *root = 1.0;
        }
        // A parent's index is above its children's.
        for (node, &(left, right)) in self.children.iter().enumerate().rev() {
            let row = &self.output[node * self.dim..(node + 1) * self.dim];
            let dot: f32 = row.iter().zip(hidden).map(|(a, b)| a * b).sum();
            let turn = 1.0 / (1.0 + (-dot).exp());
            let here = out[leaves + node];
            out[left as usize] = here * (1.0 - turn);
            out[right as usize] = here * turn;
        }
        out.truncate(leaves);
    }
}

fn bad(problem: &str) -> Error {
    Error::malformed("lid.176.ftz", problem)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// FNV-1a as fastText computes it: bytes are widened with their sign.
fn fnv_signed(hash: u32, byte: u8) -> u32 {
    (hash ^ (byte as i8 as u32)).wrapping_mul(16_777_619)
}

/// The Huffman tree over the labels, which come sorted by falling count: two pointers, no heap.
fn label_tree(counts: &[i64]) -> Vec<(u32, u32)> {
    let leaves = counts.len();
    let mut weight: Vec<i64> = counts.to_vec();
    weight.resize((2 * leaves).saturating_sub(1), i64::MAX);
    let mut children = Vec::with_capacity(leaves.saturating_sub(1));
    let (mut leaf, mut node) = (leaves, leaves);
    for parent in leaves..weight.len() {
        let mut lightest = || {
            if leaf > 0 && (node >= parent || weight[leaf - 1] < weight[node]) {
                leaf -= 1;
                leaf
            } else {
                node += 1;
                node - 1
            }
        };
        let pair = (lightest(), lightest());
        weight[parent] = weight[pair.0].saturating_add(weight[pair.1]);
        children.push((pair.0 as u32, pair.1 as u32));
    }
    children
}

/// The row of each hash of n-grams that is kept: open addressing, because the key is a hash already.
#[derive(Debug)]
pub(super) struct Rows {
    slots: Vec<(u32, u32)>,
    rows_max: Option<u32>,
}

impl Default for Rows {
    fn default() -> Self {
        Self::with_pairs(&[])
    }
}

impl Rows {
    pub(super) fn with_pairs(pairs: &[(u32, u32)]) -> Self {
        let mut slots = vec![(NONE, NONE); (pairs.len() * 2).next_power_of_two().max(2)];
        let mask = slots.len() - 1;
        for &(key, row) in pairs {
            let mut at = key as usize & mask;
            while slots[at].0 != NONE && slots[at].0 != key {
                at = (at + 1) & mask;
            }
            slots[at] = (key, row);
        }
        Self { slots, rows_max: pairs.iter().map(|pair| pair.1).max() }
    }

    /// Rows of n-grams come after the rows of words.
    fn offset(mut self, words: u32) -> Self {
        self.slots.iter_mut().filter(|slot| slot.0 != NONE).for_each(|slot| slot.1 = slot.1.saturating_add(words));
        self
    }

    pub(super) fn get(&self, key: u32) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        loop {
            match self.slots[at] {
                (found, row) if found == key => return Some(row),
                (NONE, _) => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }
}

struct Vocabulary {
    words: HashMap<Vec<u8>, u32>,
    labels: Vec<(String, i64)>,
    buckets: Rows,
}

impl Vocabulary {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (size, nwords, nlabels) = (reader.length()?, reader.length()?, reader.length()?);
        reader.take(8)?;
        let pruned = reader.length_long()?;
        if nwords.checked_add(nlabels) != Some(size) || !(2..=LABELS_MAX).contains(&nlabels) {
            return Err(bad("the counts of words and labels don't add up"));
        }
        let mut words = HashMap::new();
        let mut labels = Vec::new();
        for row in 0..size {
            let (word, count, kind) = (reader.word()?, reader.i64()?, reader.take(1)?[0]);
            if kind == 0 {
                words.insert(word.to_vec(), row as u32);
            } else {
                let name = String::from_utf8_lossy(word);
                labels.push((name.trim_start_matches("__label__").to_owned(), count));
            }
        }
        if words.len() != nwords || labels.len() != nlabels {
            return Err(bad("a word or label is missing or stands twice"));
        }
        let mut pairs = Vec::new();
        for _ in 0..pruned {
            pairs.push((reader.i32()? as u32, reader.i32()? as u32));
        }
        Ok(Self { words, labels, buckets: Rows::with_pairs(&pairs) })
    }
}

/// A matrix as plain floats, with its number of rows.
fn read_matrix(reader: &mut Reader<'_>, dim: usize) -> Result<(Vec<f32>, usize)> {
    let quantised = reader.take(1)?[0] != 0;
    let norms = quantised && reader.take(1)?[0] != 0;
    let (rows, columns) = (reader.length_long()?, reader.length_long()?);
    if columns != dim {
        return Err(bad("a matrix has another width than the model"));
    }
    let count = rows.checked_mul(dim).filter(|count| *count <= NUMBERS_MAX);
    let count = count.ok_or_else(|| bad("a matrix is larger than that of any language model"))?;
    if !quantised {
        return Ok((reader.floats(count)?, rows));
    }
    let codes_length = reader.length()?;
    let codes = reader.take(codes_length)?;
    let quantiser = Quantiser::read(reader)?;
    if quantiser.dim != dim || rows.checked_mul(quantiser.parts) != Some(codes_length) {
        return Err(bad("the codes of a matrix don't fit its size"));
    }
    let norm = if norms {
        let norm_codes = reader.take(rows)?;
        Some((norm_codes, Quantiser::read(reader)?))
    } else {
        None
    };
    let mut values = vec![0.0; count];
    for (row, out) in values.chunks_exact_mut(dim).enumerate() {
        let scale = norm.as_ref().map_or(1.0, |(codes, quantiser)| quantiser.centroid(0, codes[row])[0]);
        for part in 0..quantiser.parts {
            let centroid = quantiser.centroid(part, codes[row * quantiser.parts + part]);
            let from = part * quantiser.width;
            out[from..from + centroid.len()].iter_mut().zip(centroid).for_each(|(o, c)| *o = scale * c);
        }
    }
    Ok((values, rows))
}

/// A product quantiser: a vector is cut into parts, each the nearest of 256 centroids.
struct Quantiser {
    dim: usize,
    parts: usize,
    width: usize,
    last_width: usize,
    centroids: Vec<f32>,
}

impl Quantiser {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (dim, parts, width, last_width) = (reader.length()?, reader.length()?, reader.length()?, reader.length()?);
        let fits = parts >= 1
            && width >= 1
            && (1..=width).contains(&last_width)
            && (parts - 1).checked_mul(width).and_then(|n| n.checked_add(last_width)) == Some(dim);
        if !fits {
            return Err(bad("a quantiser's parts don't add up"));
        }
        let centroids = reader.floats(dim.checked_mul(256).ok_or_else(|| bad("a quantiser is too large"))?)?;
        Ok(Self { dim, parts, width, last_width, centroids })
    }

    fn centroid(&self, part: usize, code: u8) -> &[f32] {
        let width = if part + 1 == self.parts { self.last_width } else { self.width };
        let from = part * 256 * self.width + code as usize * width;
        &self.centroids[from..from + width]
    }
}

/// Takes values off the front of the bytes.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(length).ok_or_else(|| bad("the file is cut short"))?;
        self.bytes = tail;
        Ok(head)
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.take(4)?.try_into().map_err(|_| bad("the file is cut short"))?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.take(8)?.try_into().map_err(|_| bad("the file is cut short"))?))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.i32()?).map_err(|_| bad("a negative length"))
    }

    fn length_long(&mut self) -> Result<usize> {
        usize::try_from(self.i64()?).map_err(|_| bad("a negative length"))
    }

    fn word(&mut self) -> Result<&'a [u8]> {
        let end = self.bytes.iter().position(|&b| b == 0).ok_or_else(|| bad("the file is cut short"))?;
        let word = self.take(end)?;
        self.take(1)?;
        Ok(word)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>> {
        let bytes = self.take(count.checked_mul(4).ok_or_else(|| bad("a matrix is too large"))?)?;
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &[u8] = include_bytes!("../../../../models/lid.176.ftz");

    /// Figures of fastText 0.9.2's own `predict`, given to four digits.
    #[test]
    fn probabilities_are_fasttext_s_own() {
        let model = FastText::parse(MODEL).unwrap();
        assert_eq!(model.labels().len(), 176);
        let mut out = Vec::new();
        for (text, label, expected) in PARITY {
            assert!(model.probabilities(text, &mut out));
            let sum: f32 = out.iter().sum();
            assert!((sum - 1.0).abs() < 1e-3, "{sum}");
            let best = (0..out.len()).max_by(|&a, &b| out[a].total_cmp(&out[b])).unwrap();
            assert_eq!(model.labels()[best], label, "{text}");
            assert!((out[best] - expected).abs() < 2e-3, "{text}: {} instead of {expected}", out[best]);
        }
    }
    const PARITY: [(&str, &str, f32); 9] = [
        ("our flight is delayed again", "en", 0.9314),
        ("der flug ist schon wieder verspätet", "de", 0.9999),
        ("وصلت الرحلة متأخرة مرة أخرى", "ar", 0.9965),
        ("東京の天気は良いです", "ja", 0.9998),
        ("आज मौसम अच्छा है", "hi", 0.9812),
        ("o voo está atrasado de novo", "es", 0.6109),
        ("สวัสดีชาวโลก", "th", 0.9979),
        ("Привет как дела", "ru", 0.9623),
        ("bhai kya hai", "it", 0.4975),
    ];

    #[test]
    fn a_damaged_file_is_refused_or_read_but_never_a_panic() {
        for length in [0, 3, 8, 60, 100, 5_000, MODEL.len() / 2, MODEL.len() - 1] {
            assert!(FastText::parse(&MODEL[..length]).is_err(), "{length}");
        }
        let mut out = Vec::new();
        for at in (0..2_000).step_by(41).chain((2_000..MODEL.len()).step_by(200_003)) {
            let mut damaged = MODEL.to_vec();
            damaged[at] ^= 0xFF;
            if let Ok(model) = FastText::parse(&damaged) {
                model.probabilities("a word or two", &mut out);
            }
        }
    }

    #[test]
    fn nothing_known_is_told_apart_from_a_guess() {
        let model = FastText::parse(MODEL).unwrap();
        assert!(!model.probabilities("", &mut Vec::new()));
        assert!(!model.probabilities(" \n\t", &mut Vec::new()));
    }
}
