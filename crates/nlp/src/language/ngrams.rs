//! Features of a text for [`super::posts`]: every word, and every run of one to five characters of a word with its
//! borders, as 32-bit hashes. Words are those of [`super::evidence`]: no links, names, digits or punctuation.

/// Words read of a text: more rarely change the answer.
const WORDS_MAX: usize = 60;
/// Characters read of a word. Chinese writes sentences without spaces.
const CHARS_MAX: usize = 30;
/// Characters of the longest run.
const RUN_MAX: usize = 5;
/// FNV-1a over characters instead of bytes.
const HASH_START: u32 = 2_166_136_261;

/// Calls back with the hash of every feature.
pub(super) fn visit(words: &str, mut visit: impl FnMut(u32)) {
    let mut bordered: Vec<char> = Vec::with_capacity(CHARS_MAX + 2);
    for word in words.split_whitespace().take(WORDS_MAX) {
        bordered.clear();
        bordered.push('_');
        bordered.extend(word.chars().take(CHARS_MAX));
        bordered.push('_');
        // A word starts from another state than a run, because a short word is also a run.
        visit(spread(bordered.iter().fold(HASH_START ^ 7, |hash, &c| add(hash, c))));
        for start in 0..bordered.len() {
            let mut hash = HASH_START;
            for (n, &c) in bordered[start..].iter().take(RUN_MAX).enumerate() {
                hash = add(hash, c);
                if n > 0 || c != '_' {
                    visit(spread(hash));
                }
            }
        }
    }
}

fn add(hash: u32, c: char) -> u32 {
    (hash ^ c as u32).wrapping_mul(16_777_619)
}

/// Fibonacci hashing. The largest value marks an empty slot of the table, so it is not used.
fn spread(hash: u32) -> u32 {
    hash.wrapping_mul(2_654_435_769).min(u32::MAX - 1)
}
