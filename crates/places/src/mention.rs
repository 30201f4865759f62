//! Finds the names in a line: from each word the longest name that the index knows.

use crate::index::{Index, NameValue};
use crate::text::{Gap, Kind, Words};
use fst::raw::{CompiledAddr, Fst, Output};

/// A name in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Tokens `first..end`.
    pub(crate) first: usize,
    pub(crate) end: usize,
    pub(crate) name: NameValue,
    /// A flag, not a word.
    pub(crate) flag: bool,
}

/// Words that go with places and are none: they neither are names by themselves nor make a line less sure.
const FILLERS: &[&str] = &[
    "a",
    "airport",
    "aka",
    "all",
    "also",
    "always",
    "an",
    "and",
    "area",
    "around",
    "at",
    "based",
    "beautiful",
    "between",
    "born",
    "both",
    "but",
    "by",
    "central",
    "city",
    "county",
    "currently",
    "da",
    "de",
    "del",
    "down",
    "downtown",
    "e",
    "earth",
    "east",
    "eastern",
    "en",
    "environs",
    "et",
    "ex",
    "for",
    "formerly",
    "frequently",
    "from",
    "global",
    "gmt",
    "great",
    "greater",
    "here",
    "home",
    "i",
    "im",
    "in",
    "inner",
    "international",
    "intl",
    "is",
    "la",
    "live",
    "lives",
    "livin",
    "living",
    "located",
    "made",
    "metro",
    "metropolitan",
    "mid",
    "mostly",
    "my",
    "native",
    "ne",
    "near",
    "no",
    "north",
    "northeast",
    "northeastern",
    "northern",
    "northwest",
    "northwestern",
    "now",
    "nw",
    "of",
    "often",
    "on",
    "or",
    "originally",
    "outside",
    "pero",
    "planet",
    "raised",
    "region",
    "residing",
    "se",
    "sometimes",
    "south",
    "southeast",
    "southeastern",
    "southern",
    "southwest",
    "southwestern",
    "state",
    "states",
    "suburb",
    "suburban",
    "suburbs",
    "sunny",
    "sw",
    "the",
    "then",
    "to",
    "town",
    "traveling",
    "twp",
    "und",
    "up",
    "upstate",
    "usually",
    "via",
    "was",
    "way",
    "west",
    "western",
    "when",
    "with",
    "world",
    "worldwide",
    "x",
    "y",
    "zip",
];

/// Words after which a place is likely to come.
const PREPOSITIONS: &[&str] = &["and", "around", "at", "de", "en", "from", "in", "near", "of", "outside", "to", "via"];

/// Words between two places that are not one within the other.
const LIST_WORDS: &[&str] = &["and", "between", "by", "e", "et", "from", "or", "then", "to", "und", "via", "x", "y"];

/// Words within a name.
const PARTICLES: &[&str] = &["de", "del", "di", "du", "la", "las", "le", "los", "of", "on", "upon", "van", "von"];

/// Words that make a street or a county of the name before them.
const STREET_WORDS: &[&str] = &[
    "ave",
    "avenue",
    "blvd",
    "boulevard",
    "county",
    "dr",
    "drive",
    "highway",
    "hwy",
    "lane",
    "ln",
    "rd",
    "road",
    "st",
    "street",
    "terrace",
];

/// Codes of states that people write for themselves in capitals.
const INTERJECTIONS: &[&str] = &["as", "hi", "me", "no", "oh", "ok", "or", "so"];

pub(crate) fn is_particle(word: &str) -> bool {
    PARTICLES.binary_search(&word).is_ok()
}

pub(crate) fn is_street_word(word: &str) -> bool {
    STREET_WORDS.binary_search(&word).is_ok()
}

pub(crate) fn is_interjection(word: &str) -> bool {
    INTERJECTIONS.binary_search(&word).is_ok()
}

pub(crate) fn is_filler(word: &str) -> bool {
    word.len() <= 13 && FILLERS.binary_search(&word).is_ok()
}

pub(crate) fn is_preposition(word: &str) -> bool {
    PREPOSITIONS.binary_search(&word).is_ok()
}

pub(crate) fn is_list_word(word: &str) -> bool {
    LIST_WORDS.binary_search(&word).is_ok()
}

/// The names of a line, in order; no two share a word.
pub(crate) fn find(index: &Index<'_>, words: &Words, out: &mut Vec<Mention>) {
    out.clear();
    let mut i = 0;
    while i < words.tokens.len() {
        let token = &words.tokens[i];
        match token.kind {
            Kind::Flag => {
                if let Some(name) = flag_name(index, words.text(token)) {
                    out.push(Mention { first: i, end: i + 1, name, flag: true });
                }
                i += 1;
            }
            Kind::Word => {
                let found = longest(index, words, i);
                if let Some((end, name)) = found {
                    out.push(Mention { first: i, end, name, flag: false });
                }
                i = found.map_or(i + 1, |(end, _)| end);
            }
            Kind::Number | Kind::Noise => i += 1,
        }
    }
}

fn flag_name(index: &Index<'_>, code: &str) -> Option<NameValue> {
    match code {
        "gb-eng" => index.find("england"),
        "gb-sct" => index.find("scotland"),
        "gb-wls" => index.find("wales"),
        _ => index.country_by_code(code),
    }
}

/// The longest name from word `first` on: where it ends, and its value.
fn longest(index: &Index<'_>, words: &Words, first: usize) -> Option<(usize, NameValue)> {
    let fst = &index.names;
    let mut best = None;
    walk(fst, words, first, (fst.root().addr(), Output::zero()), &mut best);
    let (end, name) = best?;
    let only = &words.tokens[first];
    if end > first + 1 {
        return is_whole(words, first, end).then_some((end, name));
    }
    let text = words.text(only);
    let ends_there = words.tokens.get(end).is_none_or(|next| next.gap >= Gap::Comma);
    // "on" is Ontario in "london, on", and nothing elsewhere.
    let is_qualifier = only.gap == Gap::Comma && ends_there && text.len() == 2;
    let counts = text.chars().count() >= 2 && (!is_filler(text) || only.upper || is_qualifier);
    counts.then_some((end, name))
}

/// Not a part of a longer word in katakana, and not a few short words by chance ("CO to CA").
fn is_whole(words: &Words, first: usize, end: usize) -> bool {
    let tokens = &words.tokens[first..end];
    let katakana = |i: usize| words.tokens.get(i).is_some_and(|t| words.text(t).chars().all(is_katakana));
    let goes_on = |i: usize| katakana(i) && words.tokens[i].gap == Gap::None && i > 0 && katakana(i - 1);
    let letters: usize = tokens.iter().map(|t| (t.end - t.start) as usize).sum();
    let by_chance = letters <= 5 && tokens.iter().any(|t| t.gap == Gap::Soft && is_list_word(words.text(t)));
    !goes_on(first) && !goes_on(end) && !by_chance
}

fn is_katakana(c: char) -> bool {
    matches!(c, '\u{30a1}'..='\u{30ff}' | '\u{3099}'..='\u{309a}')
}

fn walk(
    fst: &Fst<&[u8]>,
    words: &Words,
    at: usize,
    state: (CompiledAddr, Output),
    best: &mut Option<(usize, NameValue)>,
) {
    let Some(token) = words.tokens.get(at) else { return };
    if matches!(token.kind, Kind::Flag | Kind::Noise) {
        return;
    }
    let Some(state) = step(fst, state, words.text(token).as_bytes()) else { return };
    let node = fst.node(state.0);
    if node.is_final() {
        let value = NameValue(state.1.cat(node.final_output()).value());
        if best.is_none_or(|(end, _)| at + 1 > end) {
            *best = Some((at + 1, value));
        }
    }
    match words.tokens.get(at + 1).map(|next| next.gap) {
        Some(Gap::None) => walk(fst, words, at + 1, state, best),
        Some(Gap::Soft) => {
            if let Some(state) = step(fst, state, b" ") {
                walk(fst, words, at + 1, state, best);
            }
        }
        Some(Gap::Camel) => {
            walk(fst, words, at + 1, state, best);
            if let Some(state) = step(fst, state, b" ") {
                walk(fst, words, at + 1, state, best);
            }
        }
        Some(Gap::Comma | Gap::Hard) | None => {}
    }
}

fn step(fst: &Fst<&[u8]>, state: (CompiledAddr, Output), bytes: &[u8]) -> Option<(CompiledAddr, Output)> {
    let (mut addr, mut output) = state;
    for &byte in bytes {
        let node = fst.node(addr);
        let transition = node.transition(node.find_input(byte)?);
        output = output.cat(transition.out);
        addr = transition.addr;
    }
    Some((addr, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_lists_are_sorted_for_the_search() {
        for list in [FILLERS, PREPOSITIONS, LIST_WORDS, PARTICLES, STREET_WORDS, INTERJECTIONS] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        }
        assert!(FILLERS.iter().all(|word| word.len() <= 13));
    }
}
