//! One number that reposts of the same words share, so that copies can be counted by equality alone.
//!
//! The words of the text are brought to a bare form (compatibility forms folded, lower case, no marks, no punctuation,
//! no emoji), retweet prefixes, @names and links dropped, and the first [`WEIGHT_MAX`] worth of them hashed in order. A beginning
//! rather than a minimum over shingles: a sketch of shingles reduced to one key is equal with a probability of their
//! overlap only, in a truncated copy and in a stranger's text alike, while the beginning survives truncation and an added
//! tail for certain. What it does not catch is a word changed within the first dozen.
//!
//! The number is stored: the recipe is part of the lake's format and must not change unseen.

use super::clean::decode_entity;
use super::scan::{Span, scan};
use super::{is_unspaced, is_word};
use domain::EntityKind;
use unicode_normalization::UnicodeNormalization;

/// A word weighs two, a character of a script without spaces one.
const WORD_WEIGHT: u32 = 2;
/// Below five words (ten characters) texts are equal by chance: thanks, good mornings.
const WEIGHT_MIN: u32 = 10;
/// Twelve words (24 characters): what a retweet cut to 140 characters still holds.
const WEIGHT_MAX: u32 = 24;

/// The fingerprint of a text; none when the text is too short to tell a copy from a coincidence.
///
/// ```
/// let original = "My flight to Austin was cancelled again and nobody at the gate told us why";
/// let repost = format!("RT @someone: {original} https://t.co/x1");
/// assert_eq!(nlp::text::fingerprint(original), nlp::text::fingerprint(&repost));
/// assert_eq!(nlp::text::fingerprint("thanks!"), None);
/// ```
pub fn fingerprint(text: &str) -> Option<i64> {
    let spans = scan(text);
    let whole = digest(text, &spans, 0);
    // A comment before a quoted post ("so true! RT @name: ...") leaves the quoted words as the subject.
    match quoted_from(text, &spans) {
        Some(from) => digest(text, &spans, from).or(whole),
        None => whole,
    }
}

/// Where the words after the last `RT @name` or `via @name:` begin.
fn quoted_from(text: &str, spans: &[Span]) -> Option<usize> {
    spans.iter().rev().filter(|span| span.kind == EntityKind::Mention).find_map(|span| {
        let before = text[..span.bytes.start].trim_end();
        let head = before.strip_suffix("RT").or_else(|| before.strip_suffix("rt"))?;
        (!head.ends_with(is_word)).then_some(span.bytes.end)
    })
}

/// Hash of the first words from a byte on.
fn digest(text: &str, spans: &[Span], from: usize) -> Option<i64> {
    let mut hasher = WordHasher::new();
    let mut at = from;
    for span in spans.iter().filter(|span| span.bytes.start >= from) {
        if hasher.is_full() {
            break;
        }
        hasher.prose(&text[at..span.bytes.start]);
        if matches!(span.kind, EntityKind::Hashtag | EntityKind::Cashtag) {
            hasher.prose(&text[span.bytes.clone()]);
        }
        at = span.bytes.end;
    }
    let tail = &text[at..];
    // A word cut off by the platform is not the word.
    let whole_words = match tail.trim_end().strip_suffix('…').or_else(|| tail.trim_end().strip_suffix("...")) {
        Some(cut) if cut.ends_with(is_word) => cut.trim_end_matches(|c: char| is_word(c) && !is_unspaced(c)),
        _ => tail,
    };
    hasher.prose(whole_words);
    hasher.finish()
}

/// FNV-1a over the bare words, 64 bits.
struct WordHasher {
    state: u64,
    weight: u32,
}

impl WordHasher {
    fn new() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325, weight: 0 }
    }

    fn is_full(&self) -> bool {
        self.weight >= WEIGHT_MAX
    }

    fn prose(&mut self, text: &str) {
        let mut word = String::new();
        let mut entity_end = 0;
        for (at, c) in text.char_indices() {
            if self.is_full() {
                return;
            }
            // `&amp;` is a sign, and signs don't count.
            if c == '&' {
                entity_end = decode_entity(&text[at..]).map_or(at, |(_, length)| at + length);
            }
            if at < entity_end || matches!(c, '\'' | '’' | '_') {
                continue;
            }
            if is_unspaced(c) {
                self.word(&mut word, WORD_WEIGHT);
                word.push(c);
                self.word(&mut word, 1);
            } else if is_word(c) {
                word.push(c);
            } else {
                self.word(&mut word, WORD_WEIGHT);
            }
        }
        self.word(&mut word, WORD_WEIGHT);
    }

    fn word(&mut self, word: &mut String, weight: u32) {
        // The mark of a retweet is none of its words.
        if word.eq_ignore_ascii_case("rt") {
            word.clear();
        }
        let mut bytes = 0;
        // A "word" of a megabyte has told enough after 64 characters.
        for c in word.chars().take(64).nfkd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                self.byte(byte);
                bytes += 1;
            }
        }
        word.clear();
        if bytes > 0 && !self.is_full() {
            self.byte(0);
            self.weight += weight;
        }
    }

    fn byte(&mut self, byte: u8) {
        self.state = (self.state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    fn finish(self) -> Option<i64> {
        (self.weight >= WEIGHT_MIN).then(|| {
            // FNV's high bits mix poorly: one round of a finaliser (splitmix64) spreads them.
            let mut z = self.state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) as i64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::NASTY;
    use super::*;
    use proptest::prelude::*;

    const ORIGINAL: &str = "Our flight 1234 to Boston is delayed again, third time this week! Nobody at the gate knows why \
                            #fail @Airline http://t.co/abc";

    #[test]
    fn reposts_share_the_fingerprint() {
        let expected = fingerprint(ORIGINAL);
        assert!(expected.is_some());
        for copy in [
            "RT @someone: Our flight 1234 to Boston is delayed again, third time this week! Nobody at the gate knows why #fail…",
            "OUR FLIGHT 1234 TO BOSTON IS DELAYED AGAIN THIRD TIME THIS WEEK NOBODY AT THE GATE KNOWS WHY",
            "our flight 1234 to boston is delayed again... third time this week!!! nobody at the gate knows why 😡😡😡",
            "So true! RT @someone: Our flight 1234 to Boston is delayed again, third time this week! Nobody at the gate…",
            "RT @a: RT @b: “Our flight 1234 to Boston is delayed again, third time this week! Nobody at the ga…",
            "@friend Our flight 1234 to Boston is delayed again, third time this week! Nobody at the gate knows why https://t.co/other",
            "Our flight 1234 to #Boston is delayed again, third time this week! Nobody at the gate knows why (via @someone)",
            "Ｏur flight 1234 to Bostön is delayed &amp; again, third time this week! Nobody at all",
        ] {
            assert_eq!(fingerprint(copy), expected, "{copy}");
        }
    }

    #[test]
    fn other_texts_do_not() {
        let expected = fingerprint(ORIGINAL);
        for other in [
            "Our flight 1235 to Boston is delayed again, third time this week! Nobody at the gate knows why",
            "Their flight 1234 to Boston is delayed again, third time this week! Nobody at the gate knows why",
            "Our flight 1234 to Boston is delayed again",
        ] {
            assert_ne!(fingerprint(other), expected, "{other}");
        }
    }

    #[test]
    fn copies_in_other_scripts() {
        for (original, copy) in [
            (
                "東京の天気は今日とても良いですね、散歩に行きましょう",
                "RT @user: 東京の天気は今日とても良いですね。散歩に行きましょう！ http://t.co/x",
            ),
            ("الطقس جميل اليوم في القاهرة ونحن سعداء جدا", "RT @user: الطقس جميل اليوم في القاهرة، ونحن سعداء جدا 😍"),
            ("รถไฟฟ้าเสียอีกแล้ววันนี้คนเยอะมาก", "รถไฟฟ้าเสียอีกแล้ววันนี้คนเยอะมาก 😂 #bts"),
            ("आज दिल्ली में मौसम बहुत अच्छा है दोस्तों", "RT @x आज दिल्ली में मौसम बहुत अच्छा है दोस्तों!!"),
        ] {
            assert!(fingerprint(original).is_some());
            assert_eq!(fingerprint(original), fingerprint(copy), "{original}");
        }
    }

    #[test]
    fn short_texts_have_none() {
        for text in [
            "",
            "thank you so much",
            "@a @b http://t.co/x 😀😀😀😀😀😀😀😀😀😀😀😀",
            "RT @user: thanks!",
            "ありがとう",
            "!!!! ???? .... ,,,, ;;;;",
        ] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }

    #[test]
    fn the_recipe_is_pinned_for_what_is_stored() {
        assert_eq!(fingerprint("one two three four five six"), Some(PINNED));
    }
    const PINNED: i64 = 3_472_135_326_813_107_180;

    #[test]
    fn nasty_texts_and_megabytes_are_read() {
        for text in NASTY {
            assert_eq!(fingerprint(text), fingerprint(&format!("RT @user: {text}")).or(fingerprint(text)), "{text}");
        }
        assert!(fingerprint(&"a".repeat(1 << 20)).is_none());
        assert!(fingerprint(&"RT @a ".repeat(1 << 17)).is_none());
        assert!(fingerprint(&"word ".repeat(1 << 17)).is_some());
    }

    proptest! {
        #[test]
        fn case_and_punctuation_do_not_matter(words in proptest::collection::vec("[a-z]{1,8}", 5..30)) {
            prop_assume!(!words.iter().any(|w| w == "rt"));
            let plain = fingerprint(&words.join(" "));
            prop_assert!(plain.is_some());
            prop_assert_eq!(plain, fingerprint(&words.join("! ").to_uppercase()));
            prop_assert_eq!(plain, fingerprint(&format!("RT @user: {} http://t.co/Xy", words.join(", "))));
        }
    }
}
