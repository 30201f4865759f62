//! Cuts a post into words with their places, and marks where a phrase can't go on: punctuation, line ends, and what
//! rules found (links, names, emoji). Relies on Unicode's word borders (UAX #29) for scripts that put spaces between
//! words; Chinese and Japanese are cut where the kind of character changes, Thai and its neighbours at their own spaces.

use crate::text::{Span, is_mark, is_unspaced};
use unicode_segmentation::UnicodeSegmentation;

/// A word, or an unspaced run, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) byte: usize,
    /// Begins a run: something stands between it and the word before that no phrase reaches across.
    pub(super) after_break: bool,
    /// Begins a sentence, where a capital says nothing.
    pub(super) after_stop: bool,
    pub(super) unspaced: bool,
}

/// The words of a text outside its spans.
pub(super) fn tokens<'a>(text: &'a str, spans: &[Span]) -> Vec<Token<'a>> {
    let mut out = Vec::with_capacity(text.len() / 6);
    let mut at = 0;
    for span in spans {
        prose(text, at, span.bytes.start, &mut out);
        at = span.bytes.end;
    }
    prose(text, at, text.len(), &mut out);
    out
}

fn prose<'a>(text: &'a str, from: usize, to: usize, out: &mut Vec<Token<'a>>) {
    let mut end = from;
    let first = out.len();
    for (offset, word) in text[from..to].split_word_bound_indices() {
        let byte = from + offset;
        if byte < end || !word.starts_with(char::is_alphanumeric) {
            continue;
        }
        if word.starts_with(is_unspaced) {
            end = unspaced_run(text, byte, to, end, out);
            continue;
        }
        let gap = &text[end..byte];
        let begins = out.len() == first;
        match out.last_mut() {
            // `e-mail`, `Rock&Roll` are one word.
            Some(last) if !begins && matches!(gap, "-" | "&" | "‑") && !last.unspaced => {
                last.text = &text[last.byte..byte + word.len()];
            }
            _ => out.push(Token {
                text: word,
                byte,
                after_break: begins || !(gap == " " || gap == "\u{a0}"),
                after_stop: begins || gap.contains(['.', '!', '?', '\n', ':', '"', '…', '“', '”']),
                unspaced: false,
            }),
        }
        end = byte + word.len();
    }
}

/// Reads a run without spaces, pushes its parts, returns where it ends.
fn unspaced_run<'a>(text: &'a str, byte: usize, to: usize, before: usize, out: &mut Vec<Token<'a>>) -> usize {
    let run = &text[byte..to];
    let length = run.find(|c: char| !(is_unspaced(c) || is_mark(c)) || is_closing(c)).unwrap_or(run.len());
    let run = &run[..length];
    let mut push = |from: usize, part: &'a str| {
        out.push(Token {
            text: part,
            byte: byte + from,
            after_break: true,
            after_stop: before != byte,
            unspaced: true,
        });
    };
    if run.starts_with(is_east) {
        east_parts(run).into_iter().for_each(|(from, part)| push(from, part));
    } else {
        // No dictionary, no cut: what people set between spaces is a phrase or too long to be one.
        push(0, run);
    }
    byte + length.max(1)
}

fn is_closing(c: char) -> bool {
    matches!(c, '\u{30FB}' | '\u{0E2F}' | '\u{0E5A}' | '\u{0E5B}' | '\u{104A}' | '\u{104B}' | '\u{17D4}' | '\u{17D5}')
}

fn is_east(c: char) -> bool {
    c >= '\u{3005}'
}

fn is_hiragana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{309F}')
}

/// Runs of Chinese characters and katakana; hiragana, which writes grammar, lies between them.
fn east_parts(run: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let mut start = None;
    for (at, c) in run.char_indices() {
        match (start, is_hiragana(c)) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                // A word that goes on in hiragana other than a particle is cut in half: leave it out.
                if follows_whole_word(&run[at..]) {
                    parts.push((from, &run[from..at]));
                }
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        parts.push((from, &run[from..]));
    }
    parts
}

fn follows_whole_word(rest: &str) -> bool {
    const PARTICLES: [&str; 26] = [
        "は",
        "が",
        "を",
        "に",
        "の",
        "で",
        "と",
        "も",
        "へ",
        "や",
        "か",
        "よ",
        "ね",
        "だ",
        "な",
        "から",
        "まで",
        "より",
        "さん",
        "ちゃん",
        "くん",
        "する",
        "した",
        "して",
        "され",
        "など",
    ];
    PARTICLES.iter().any(|particle| rest.starts_with(particle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::scan;

    fn words(text: &str) -> Vec<&str> {
        tokens(text, &scan(text)).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_are_whole_and_spans_are_left_out() {
        assert_eq!(
            words("@user don't e-mail me, http://t.co/x #ok 😀 Rock&Roll"),
            ["don't", "e-mail", "me", "Rock&Roll"]
        );
        assert_eq!(words("東京タワーが大好きです。飛行機の遅延"), ["東京タワー", "飛行機", "遅延"]);
        assert_eq!(words("สวัสดี ชาวโลก"), ["สวัสดี", "ชาวโลก"]);
        assert_eq!(words("नमस्ते दोस्तों"), ["नमस्ते", "दोस्तों"]);
        assert_eq!(words("من المطار،الى"), ["من", "المطار", "الى"]);
        assert_eq!(words(""), [""; 0]);
    }

    #[test]
    fn punctuation_breaks_a_phrase() {
        let breaks: Vec<bool> = tokens("lost bag, no help", &[]).iter().map(|t| t.after_break).collect();
        assert_eq!(breaks, [true, false, true, false]);
    }
}
