//! Unigram pieces (Kudo 2018, "Subword Regularization"): of all ways to cut a word into known pieces, the most probable.
//! The crate `tokenizers` keeps a hash map for each node of its tree of pieces, 77 MB for the shipped model; here the
//! tree is a finite-state transducer of a few megabytes. What is cut is the same, to the last tie.

use fst::raw::{Fst, Output};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tokenizers::models::unigram::UnigramTrainer;
use tokenizers::{Model, Result, Token};

/// How much less probable an unknown character is than the least probable piece (as sentencepiece has it).
const UNKNOWN_PENALTY: f64 = 10.0;

/// A vocabulary of pieces with the logarithms of their probabilities.
#[derive(Deserialize)]
#[serde(try_from = "Stored")]
pub(super) struct Unigram {
    /// Piece to id.
    pieces: Fst<Vec<u8>>,
    /// By id.
    scores: Vec<f64>,
    unknown: u32,
    unknown_score: f64,
}

/// As `tokenizer.json` has it.
#[derive(Deserialize)]
struct Stored {
    unk_id: u32,
    vocab: Vec<(String, f64)>,
}

impl TryFrom<Stored> for Unigram {
    type Error = String;

    fn try_from(stored: Stored) -> std::result::Result<Self, String> {
        if stored.unk_id as usize >= stored.vocab.len() {
            return Err(format!("unk_id {} is beyond the vocabulary", stored.unk_id));
        }
        let scores: Vec<f64> = stored.vocab.iter().map(|(_, score)| *score).collect();
        // Of a piece that is there twice, the later counts.
        let ids: BTreeMap<String, u64> =
            stored.vocab.into_iter().zip(0..).map(|((piece, _), id)| (piece, id)).collect();
        let pieces = Fst::from_iter_map(ids).map_err(|error| error.to_string())?;
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Self { pieces, scores, unknown: stored.unk_id, unknown_score: least - UNKNOWN_PENALTY })
    }
}

/// The best way to reach a byte of the word.
#[derive(Clone, Copy)]
struct Step {
    score: f64,
    from: usize,
    id: u32,
}

const UNREACHED: Step = Step { score: f64::NEG_INFINITY, from: usize::MAX, id: 0 };

impl Unigram {
    /// Calls `found` with the end and the id of every piece that begins at `begin`, the shortest first.
    fn pieces_at(&self, word: &[u8], begin: usize, mut found: impl FnMut(usize, u32)) {
        let mut node = self.pieces.root();
        let mut output = Output::zero();
        for (end, byte) in (begin + 1..).zip(&word[begin..]) {
            let Some(at) = node.find_input(*byte) else { return };
            let transition = node.transition(at);
            output = output.cat(transition.out);
            node = self.pieces.node(transition.addr);
            if node.is_final() {
                found(end, output.cat(node.final_output()).value() as u32);
            }
        }
    }

    /// The most probable pieces of a word, from its first byte on; unknown characters that follow one another are one.
    fn cut(&self, word: &str) -> Vec<Step> {
        let bytes = word.as_bytes();
        let mut best = vec![UNREACHED; bytes.len() + 1];
        best[0].score = 0.0;
        for (begin, character) in word.char_indices() {
            let so_far = best[begin].score;
            let next = begin + character.len_utf8();
            let mut known = false;
            self.pieces_at(bytes, begin, |end, id| {
                known |= end == next;
                let score = so_far + self.scores[id as usize];
                if best[end].from == usize::MAX || score > best[end].score {
                    best[end] = Step { score, from: begin, id };
                }
            });
            let score = so_far + self.unknown_score;
            if !known && (best[next].from == usize::MAX || score > best[next].score) {
                best[next] = Step { score, from: begin, id: self.unknown };
            }
        }
        let mut path: Vec<Step> = Vec::new();
        let mut end = bytes.len();
        while end > 0 {
            let step = best[end];
            match path.last_mut() {
                Some(later) if later.id == self.unknown && step.id == self.unknown => later.from = step.from,
                _ => path.push(step),
            }
            end = step.from;
        }
        path.reverse();
        path
    }
}

impl Model for Unigram {
    type Trainer = UnigramTrainer;

    /// Pieces with their bytes in the word; their texts are left empty, nobody reads them.
    fn tokenize(&self, word: &str) -> Result<Vec<Token>> {
        let path = self.cut(word);
        let ends = path.iter().skip(1).map(|step| step.from).chain([word.len()]);
        Ok(path.iter().zip(ends).map(|(step, end)| Token::new(step.id, String::new(), (step.from, end))).collect())
    }

    fn token_to_id(&self, piece: &str) -> Option<u32> {
        self.pieces.get(piece).map(|output| output.value() as u32)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.get_vocab().into_iter().find(|(_, known)| *known == id).map(|(piece, _)| piece)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        let pieces = self.pieces.stream().into_str_vec().unwrap_or_default();
        pieces.into_iter().map(|(piece, id)| (piece, id as u32)).collect()
    }

    fn get_vocab_size(&self) -> usize {
        self.scores.len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> Result<Vec<PathBuf>> {
        Err("a vocabulary is read, not written".into())
    }

    fn get_trainer(&self) -> UnigramTrainer {
        UnigramTrainer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::models::unigram::Unigram as Reference;

    fn vocabulary() -> Vec<(String, f64)> {
        let pieces = ["<unk>", "▁", "a", "b", "ab", "ba", "aba", "▁a", "▁ab", "é", "日", "日本", "ab", "😀"];
        pieces.iter().zip(1..).map(|(piece, rank)| ((*piece).to_owned(), -f64::from(rank % 5) - 0.5)).collect()
    }

    fn ours() -> Unigram {
        Unigram::try_from(Stored { unk_id: 0, vocab: vocabulary() }).unwrap()
    }

    proptest! {
        /// The same pieces as the library's, ties and unknown characters included.
        #[test]
        fn cuts_like_the_reference(word in "[ab▁é日本x😀ñ]{0,24}") {
            let reference = Reference::from(vocabulary(), Some(0), false).unwrap();
            let cut = |tokens: Vec<Token>| tokens.into_iter().map(|t| (t.id, t.offsets)).collect::<Vec<_>>();
            prop_assert_eq!(cut(ours().tokenize(&word).unwrap()), cut(reference.tokenize(&word).unwrap()));
        }
    }

    #[test]
    fn pieces_and_ids_are_found_both_ways() {
        let ours = ours();
        assert_eq!(ours.token_to_id("日本"), Some(11));
        assert_eq!(ours.token_to_id("ab"), Some(12), "the later of two");
        assert_eq!(ours.token_to_id("ax"), None);
        assert_eq!(ours.id_to_token(11).as_deref(), Some("日本"));
        assert_eq!(ours.get_vocab_size(), 14);
    }

    #[test]
    fn an_unknown_id_beyond_the_vocabulary_is_refused() {
        assert!(serde_json::from_str::<Unigram>(r#"{"unk_id": 1, "vocab": [["a", 0.0]]}"#).is_err());
    }
}
