//! Key phrases of a post, in many languages, with their places. Longer statistics (YAKE, RAKE's degrees) have nothing
//! to count in thirty words, so the evidence is of another kind: phrases lie between stop words and punctuation (as in
//! RAKE), names that the model found and hashtags are phrases, and length, capitals, place and repetition rank them.
//! `yake-rust` was weighed: it gives no places, needs term counts, and cuts no script without spaces.

mod stop_words;
mod tokens;

use crate::text::{Span, scan};
use domain::{Entity, EntityKind, KeyPhrase};
use std::collections::HashMap;
use stop_words::{Words, Worth};
use tokens::{Token, tokens};

/// Longest phrase, in words.
const WORDS_MAX: usize = 4;
/// Longest phrase of an unspaced script, in characters.
const UNSPACED_CHARS_MAX: usize = 16;
/// Longest word that is a word, in characters.
const WORD_CHARS_MAX: usize = 40;
/// A phrase weaker than this is not worth showing.
const CONFIDENCE_MIN: f32 = 0.3;

/// Finds key phrases.
#[derive(Debug, Clone, Copy)]
pub struct KeyPhrases {
    /// At most so many phrases a text.
    pub phrases_max: usize,
}

impl Default for KeyPhrases {
    fn default() -> Self {
        Self { phrases_max: 8 }
    }
}

/// A phrase that may be chosen.
struct Candidate {
    begin_byte: usize,
    end_byte: usize,
    score: f32,
}

impl KeyPhrases {
    /// The phrases of a text, best first. `entities` are what the model found in it, with places in characters; rules
    /// find the rest by themselves.
    pub fn extract(&self, text: &str, language: &str, entities: &[Entity]) -> Vec<KeyPhrase> {
        self.extract_scanned(text, &scan(text), language, entities)
    }

    /// As [`Self::extract`], for a text whose spans are known already.
    pub fn extract_scanned(&self, text: &str, spans: &[Span], language: &str, entities: &[Entity]) -> Vec<KeyPhrase> {
        let words = Words::for_language(language);
        let named = names_in_bytes(text, entities);
        let mut candidates = Vec::new();
        for span in spans.iter().filter(|span| span.kind == EntityKind::Hashtag) {
            candidates.push(Candidate { begin_byte: span.bytes.start, end_byte: span.bytes.end, score: 0.6 });
        }
        for &(begin_byte, end_byte, confidence) in &named {
            candidates.push(Candidate { begin_byte, end_byte, score: 0.7 + 0.25 * confidence });
        }
        let tokens = tokens(text, spans);
        let shouted = is_shouted(&tokens);
        for run in runs(&tokens, words, &named) {
            pieces(run, &mut |piece| candidates.extend(candidate(piece, words, shouted)));
        }
        self.choose(text, candidates)
    }

    fn choose(&self, text: &str, mut candidates: Vec<Candidate>) -> Vec<KeyPhrase> {
        let mut seen: HashMap<String, (usize, usize)> = HashMap::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let key = text[candidate.begin_byte..candidate.end_byte].trim_start_matches(['#', '＃']).to_lowercase();
            seen.entry(key).and_modify(|(_, count)| *count += 1).or_insert((index, 1));
        }
        let mut firsts: Vec<(usize, usize)> = seen.into_values().collect();
        firsts.sort_unstable();
        for &(index, count) in &firsts {
            let place = candidates[index].begin_byte as f32 / text.len().max(1) as f32;
            candidates[index].score += 0.06 * (1.0 - place) + 0.1 * (count as f32).ln().min(2.0);
        }
        firsts.sort_by(|a, b| candidates[b.0].score.total_cmp(&candidates[a.0].score).then(a.0.cmp(&b.0)));
        let mut chosen: Vec<&Candidate> = Vec::new();
        for &(index, _) in &firsts {
            let candidate = &candidates[index];
            let overlaps = |c: &&Candidate| c.begin_byte < candidate.end_byte && candidate.begin_byte < c.end_byte;
            if chosen.len() == self.phrases_max || candidate.score < CONFIDENCE_MIN {
                break;
            }
            if !chosen.iter().any(overlaps) {
                chosen.push(candidate);
            }
        }
        with_places(text, &chosen)
    }
}

/// Counts characters once, in order of place, and gives the phrases back in order of score.
fn with_places(text: &str, chosen: &[&Candidate]) -> Vec<KeyPhrase> {
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by_key(|&i| chosen[i].begin_byte);
    let mut phrases: Vec<Option<KeyPhrase>> = vec![None; chosen.len()];
    let (mut byte, mut character) = (0, 0_u32);
    for index in order {
        let Candidate { begin_byte, end_byte, score } = *chosen[index];
        character += text[byte..begin_byte].chars().count() as u32;
        let phrase = &text[begin_byte..end_byte];
        let end = character + phrase.chars().count() as u32;
        let confidence = score.clamp(0.0, 0.99);
        phrases[index] = Some(KeyPhrase { text: phrase.to_owned(), confidence, begin: character, end });
        (byte, character) = (end_byte, end);
    }
    phrases.into_iter().flatten().collect()
}

/// Places of the names in bytes, in order; those that lie beyond the text or inside one another are left out.
fn names_in_bytes(text: &str, entities: &[Entity]) -> Vec<(usize, usize, f32)> {
    use EntityKind::{Event, Location, Organisation, Person, Product, Work};
    let mut names: Vec<&Entity> = entities
        .iter()
        .filter(|e| matches!(e.kind, Person | Organisation | Location | Product | Work | Event) && e.begin < e.end)
        .collect();
    names.sort_by_key(|e| (e.begin, e.end));
    let mut positions = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).enumerate();
    let mut found: Vec<(usize, usize, f32)> = Vec::new();
    let mut last_end = 0;
    for entity in names {
        if entity.begin < last_end {
            continue;
        }
        let mut byte_at = |character: u32| positions.by_ref().find(|(i, _)| *i == character as usize).map(|(_, b)| b);
        // The end of one name may be the beginning of the next: it was read already.
        let begin = match found.last() {
            Some(&(_, end, _)) if entity.begin == last_end && last_end > 0 => Some(end),
            _ => byte_at(entity.begin),
        };
        let (Some(begin), Some(end)) = (begin, byte_at(entity.end)) else { break };
        last_end = entity.end;
        found.push((begin, end, entity.confidence.clamp(0.0, 1.0)));
    }
    found.retain(|&(begin, end, _)| {
        let name = &text[begin..end];
        !name.starts_with(['@', '＠']) && name.chars().filter(|c| c.is_alphanumeric()).count() >= 2
    });
    found
}

/// A text written in capitals, where capitals say nothing.
fn is_shouted(tokens: &[Token<'_>]) -> bool {
    let (mut upper, mut lower) = (0_usize, 0_usize);
    for c in tokens.iter().flat_map(|t| t.text.chars()).take(2_000) {
        upper += usize::from(c.is_uppercase());
        lower += usize::from(c.is_lowercase());
    }
    upper > lower
}

/// Stretches of words without a stop word, a break or a name between them.
fn runs<'t, 'a>(tokens: &'t [Token<'a>], words: &Words, named: &[(usize, usize, f32)]) -> Vec<&'t [Token<'a>]> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut names = named.iter().peekable();
    for (index, token) in tokens.iter().enumerate() {
        while names.peek().is_some_and(|name| name.1 <= token.byte) {
            names.next();
        }
        let inside_name = names.peek().is_some_and(|name| name.0 < token.byte + token.text.len());
        let stop = inside_name || words.worth(&token.text.to_lowercase()) == Worth::Stop;
        if token.after_break || stop {
            runs.push(&tokens[start..index]);
            start = if stop { index + 1 } else { index };
        }
    }
    runs.push(&tokens[start..]);
    runs.retain(|run| !run.is_empty());
    runs
}

/// Cuts a long run into phrases: where small letters turn to capitals and back first, every third word else.
fn pieces<'t, 'a>(run: &'t [Token<'a>], visit: &mut impl FnMut(&'t [Token<'a>])) {
    if run.len() <= WORDS_MAX {
        return visit(run);
    }
    let capital = |token: &Token<'_>| token.text.starts_with(char::is_uppercase);
    let mut start = 0;
    for index in 1..=run.len() {
        let turn = index < run.len() && index > start && capital(&run[index]) != capital(&run[index - 1]);
        if index == run.len() || turn || index - start == 3 {
            visit(&run[start..index]);
            start = index;
        }
    }
}

/// A phrase of these words, if it can be one. Numbers may end a phrase (`iPhone 6`) but not begin it.
fn candidate(mut piece: &[Token<'_>], words: &Words, shouted: bool) -> Option<Candidate> {
    let is_number = |t: &Token<'_>| !t.text.contains(char::is_alphabetic);
    while let [first, rest @ ..] = piece
        && is_number(first)
    {
        piece = rest;
    }
    let (first, last) = (piece.first()?, piece.last()?);
    let characters: usize = piece.iter().map(|t| t.text.chars().count()).sum();
    if piece.iter().any(|t| t.text.len() > 4 * WORD_CHARS_MAX || t.text.chars().count() > WORD_CHARS_MAX) {
        return None;
    }
    let score = if first.unspaced {
        unspaced_score(first.text, characters, words)?
    } else {
        spaced_score(piece, characters, words, shouted)?
    };
    Some(Candidate { begin_byte: first.byte, end_byte: last.byte + last.text.len(), score })
}

fn unspaced_score(text: &str, characters: usize, words: &Words) -> Option<f32> {
    let fits = (2..=UNSPACED_CHARS_MAX).contains(&characters) && !words.is_stop(text);
    // From nine Chinese characters on it is a sentence rather than a phrase.
    let east_too_long = text.starts_with(|c| c >= '\u{3005}') && characters > 8;
    (fits && !east_too_long).then_some(match characters {
        2 => 0.45,
        3..=8 => 0.55,
        _ => 0.4,
    })
}

fn spaced_score(piece: &[Token<'_>], characters: usize, words: &Words, shouted: bool) -> Option<f32> {
    let worth: Vec<Worth> = piece.iter().map(|t| words.worth(&t.text.to_lowercase())).collect();
    let content = worth.iter().filter(|w| **w == Worth::Content).count();
    if content == 0 || characters < 3 {
        return None;
    }
    let length = match piece.len() {
        1 => 0.42,
        2 => 0.62,
        3 => 0.6,
        _ => 0.5,
    };
    let weak = 0.12 * (piece.len() - content) as f32;
    let is_name = |t: &Token<'_>| !shouted && !t.after_stop && t.text.starts_with(char::is_uppercase);
    let names = 0.15 * piece.iter().filter(|t| is_name(t)).count() as f32 / piece.len() as f32;
    let mean = characters as f32 / piece.len() as f32;
    Some(length - weak + names + 0.06 * ((mean - 5.0) / 4.0).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{NASTY, slice};
    use proptest::prelude::*;

    fn phrases(text: &str, language: &str) -> Vec<String> {
        let found = KeyPhrases::default().extract(text, language, &[]);
        check(text, &found);
        found.into_iter().map(|phrase| phrase.text).collect()
    }

    fn check(text: &str, phrases: &[KeyPhrase]) {
        assert!(phrases.len() <= 8);
        assert!(phrases.windows(2).all(|pair| pair[0].confidence >= pair[1].confidence));
        for phrase in phrases {
            assert_eq!(slice(text, phrase.begin, phrase.end), phrase.text);
            assert!(!phrase.text.is_empty() && (0.0..=1.0).contains(&phrase.confidence), "{phrase:?}");
            assert!(!phrase.text.starts_with('@') && !phrase.text.contains("http"), "{phrase:?}");
        }
    }

    #[test]
    fn posts_in_many_languages_give_their_subjects() {
        for (language, text, expected) in [
            (
                "en",
                "@united you lost my checked luggage at Boston airport and the gate agent was rude http://t.co/x #fail",
                &["checked luggage", "Boston airport", "gate agent", "#fail", "rude"][..],
            ),
            (
                "de",
                "Schon wieder Verspätung bei der Deutschen Bahn und keine Durchsage im Zug",
                &["Deutschen Bahn", "Verspätung", "Durchsage"],
            ),
            (
                "es",
                "La batería del teléfono nuevo no dura ni una tarde completa",
                &["teléfono nuevo", "tarde completa", "batería"],
            ),
            (
                "pt",
                "vc viu o atendimento péssimo da companhia aérea ontem?",
                &["atendimento péssimo", "companhia aérea"],
            ),
            (
                "fr",
                "le service client de la compagnie aérienne est injoignable",
                &["service client", "compagnie aérienne", "injoignable"],
            ),
            (
                "it",
                "il treno per Milano è in ritardo e la carrozza non ha aria condizionata",
                &["aria condizionata", "ritardo", "carrozza"],
            ),
            ("ja", "東京タワーの展望台が大好き", &["東京タワー", "展望台"]),
            ("zh", "航班延误，行李丢失", &["航班延误", "行李丢失"]),
            ("th", "รถไฟฟ้าเสีย คนเยอะมาก", &["รถไฟฟ้าเสีย", "คนเยอะมาก"]),
            ("ar", "تأخرت الرحلة في مطار القاهرة الدولي", &["مطار القاهرة الدولي"]),
            ("ru", "служба поддержки не отвечает на жалобы пассажиров", &["служба поддержки", "жалобы пассажиров"]),
        ] {
            let found = phrases(text, language);
            for phrase in expected {
                assert!(found.iter().any(|f| f == phrase), "{phrase} not in {found:?}");
            }
        }
    }

    #[test]
    fn no_junk() {
        for text in [
            "",
            "lol haha omg",
            "I don't know what to do with it",
            "@a @b http://t.co/x",
            "😀😀",
            "12 34 56",
            "thank you so much!!!",
            "jajajajaja kkkkkk",
            "RT @user: hahahahaha",
        ] {
            assert_eq!(phrases(text, "en"), [""; 0], "{text}");
        }
    }

    #[test]
    fn names_are_phrases_of_their_own_and_keep_their_borders() {
        let text = "Angela Merkel visits New York City hotel";
        let entity =
            |begin, end, kind| Entity { text: slice(text, begin, end).into(), kind, confidence: 0.9, begin, end };
        let entities = [
            entity(0, 13, EntityKind::Person),
            entity(21, 34, EntityKind::Location),
            entity(700, 800, EntityKind::Person),
        ];
        let found = KeyPhrases::default().extract(text, "en", &entities);
        check(text, &found);
        let texts: Vec<&str> = found.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(&texts[..2], ["Angela Merkel", "New York City"]);
        assert!(texts.contains(&"hotel"));
    }

    #[test]
    fn a_phrase_said_twice_counts_once_and_more() {
        let found = KeyPhrases::default().extract("battery drain. Screen flicker. battery drain!", "en", &[]);
        assert_eq!(found.iter().filter(|f| f.text == "battery drain").count(), 1);
        assert_eq!(found[0].text, "battery drain");
    }

    #[test]
    fn nasty_and_long_texts() {
        for text in NASTY {
            for language in ["en", "hi", "und", "th", "ja", ""] {
                phrases(text, language);
            }
        }
        for unit in ["word ", "a", "字", "ก", "#tag ", "one, two. ", "Ab cd "] {
            phrases(&unit.repeat((1 << 20) / unit.len()), "en");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_entities(text in "(\\PC|[a-z]{1,5} |[字の東ก\u{301}#@,. \n]){0,60}", begin in 0_u32..50, length in 0_u32..20) {
            let entity = Entity { text: String::new(), kind: EntityKind::Person, confidence: 2.0, begin, end: begin + length };
            let found = KeyPhrases::default().extract(&text, "en", &[entity.clone(), entity]);
            for phrase in &found {
                prop_assert_eq!(slice(&text, phrase.begin, phrase.end), &phrase.text);
            }
        }
    }
}
