//! What of a post speaks for its language: letters of its main script, in lower case, with compatibility forms folded and
//! stretched letters shortened; hashtags only where there is little else, for people tag in other languages.

use super::script::{self, Script};
use crate::text::{Span, is_mark};
use domain::EntityKind;
use unicode_normalization::UnicodeNormalization;

/// Characters read: a longer text is in the language of its beginning.
const CHARS_MAX: usize = 4_000;
/// Letters (by weight) outside hashtags from which on hashtags are left out.
const PROSE_ENOUGH: usize = 5;

/// The part of a text that tells its language.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Words of the main script, lower case, one space between.
    pub(super) words: String,
    /// Letters in them.
    pub(super) letters: usize,
    /// The one language that is written in the main script.
    pub(super) owner: Option<&'static str>,
}

impl Evidence {
    pub(super) fn read(text: &str, spans: &[Span]) -> Self {
        let mut prose = String::with_capacity(text.len().min(CHARS_MAX));
        let mut tags = String::new();
        let mut at = 0;
        for span in spans {
            push_folded(&mut prose, &text[at..span.bytes.start]);
            prose.push(' ');
            if span.kind == EntityKind::Hashtag {
                push_tag(&mut tags, &text[span.bytes.clone()]);
            }
            at = span.bytes.end;
            if prose.len() > 4 * CHARS_MAX {
                break;
            }
        }
        push_folded(&mut prose, &text[at..]);
        let mut tally = Tally::of(&prose);
        if tally.total < PROSE_ENOUGH {
            prose.push(' ');
            prose.push_str(&tags);
            tally = Tally::of(&prose);
        }
        let Some(main) = tally.main() else { return Self::default() };
        let (words, letters) = words_of(&prose, main);
        let owner = match main {
            Script::Owned(code) => Some(code),
            Script::East if tally.kana * 10 >= tally.east => Some("ja"),
            _ => None,
        };
        Self { words, letters, owner }
    }

    /// How sure a script makes us of its owner.
    pub(super) fn certainty(&self) -> f32 {
        1.0 - 0.3 / (1.0 + self.letters as f32)
    }
}

/// Appends text with HTML entities left out and, where there are any, presentation and full-width forms folded.
fn push_folded(out: &mut String, text: &str) {
    let room = (4 * CHARS_MAX).saturating_sub(out.len());
    let mut rest: String = text.chars().take(room).collect();
    if rest.chars().any(|c| matches!(c as u32, 0xFB00..=0xFEFC | 0xFF00..=0xFFEF | 0x1D400..=0x1D7FF)) {
        // Cut after folding: one ligature can become eighteen letters.
        rest = rest.nfkc().take(2 * CHARS_MAX).collect();
    }
    let mut parts = rest.split('&');
    out.extend(parts.next());
    for part in parts {
        out.push(' ');
        let name = part.bytes().take(8).take_while(|b| b.is_ascii_alphanumeric() || *b == b'#').count();
        out.push_str(if part[name..].starts_with(';') { &part[name + 1..] } else { part });
    }
}

/// `#NotHappyAtAll` and `#not_happy` hold words.
fn push_tag(out: &mut String, tag: &str) {
    if out.len() > CHARS_MAX {
        return;
    }
    let mut lower_before = false;
    for c in tag.chars().skip(1).take(200) {
        if c.is_uppercase() && lower_before {
            out.push(' ');
        }
        out.push(if c == '_' { ' ' } else { c });
        lower_before = c.is_lowercase();
    }
    out.push(' ');
}

/// Letters per script, by what a letter says.
#[derive(Default)]
struct Tally {
    scripts: Vec<(Script, usize)>,
    kana: usize,
    east: usize,
    total: usize,
}

impl Tally {
    fn of(text: &str) -> Self {
        let mut tally = Self::default();
        for found in text.chars().take(CHARS_MAX).filter_map(script::of) {
            let weight = script::weight(found);
            let joined = if found == Script::Kana { Script::East } else { found };
            tally.kana += usize::from(found == Script::Kana);
            tally.east += usize::from(joined == Script::East);
            tally.total += weight;
            match tally.scripts.iter_mut().find(|(script, _)| *script == joined) {
                Some((_, count)) => *count += weight,
                None => tally.scripts.push((joined, weight)),
            }
        }
        tally
    }

    /// The script with the most; the first one of equals.
    fn main(&self) -> Option<Script> {
        let most = self.scripts.iter().map(|(_, count)| *count).max()?;
        self.scripts.iter().find(|(_, count)| *count == most).map(|(script, _)| *script)
    }
}

/// The words of one script, and how many letters they have.
fn words_of(text: &str, main: Script) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let mut letters = 0;
    let mut start = 0;
    let mut run: (char, u32) = (' ', 0);
    let mut before = ' ';
    let mut chars = text.chars().take(CHARS_MAX).chain([' ']).peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        let script = script::of(c).map(|s| if s == Script::Kana { Script::East } else { s });
        let is_letter = script == Some(main) || (main == Script::Latin && stands_for_a_letter(before, c, after));
        before = c;
        if is_letter || (out.len() > start && (is_mark(c) || matches!(c, '\'' | '’'))) {
            // Arabic's stretching stroke is no letter.
            if c == '\u{640}' {
                continue;
            }
            letters += usize::from(script.is_some());
            for lower in c.to_lowercase() {
                run = if run.0 == lower { (lower, run.1 + 1) } else { (lower, 1) };
                push_run(&mut out, start, run);
            }
        } else if out.len() > start {
            if out[start..].trim_end_matches(['\'', '’']) == "rt" {
                out.truncate(start);
            } else {
                out.push(' ');
                start = out.len();
            }
            run = (' ', 0);
        }
    }
    out.truncate(out.trim_end().len());
    (out, letters)
}

/// A single digit at a letter, as in `7abibi` or `gr8`.
fn stands_for_a_letter(before: char, c: char, after: char) -> bool {
    let beside = [before, after];
    c.is_ascii_digit() && beside.iter().any(|c| c.is_alphabetic()) && !beside.iter().any(char::is_ascii_digit)
}

/// `soooo` is `so`: a letter stands once when it is written three times or more, else as written.
fn push_run(out: &mut String, start: usize, (letter, count): (char, u32)) {
    match count {
        1 | 2 => out.push(letter),
        3 if out[start..].ends_with(letter) => {
            out.pop();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::scan;

    fn words(text: &str) -> String {
        Evidence::read(text, &scan(text)).words
    }

    #[test]
    fn only_words_of_the_main_script_speak() {
        for (text, expected) in [
            ("RT @user: Sooooo COOL!!! http://t.co/x #MasterChefBR", "so cool"),
            ("#MasterChefBR", "master chef br"),
            ("#not_happy ok", "ok not happy"),
            ("Spaß &amp; Freude 😀 2 東", "spaß freude"),
            ("don't stop", "don't stop"),
            ("ya 7abibi, 12ab 3 b4", "ya 7abibi ab b4"),
            ("مـــرحبا ﺍﻟﺴﻌﻮﺩﻳﺔ iPhone", "مرحبا السعودية"),
            ("नमस्ते दोस्तों", "नमस्ते दोस्तों"),
            ("", ""),
            ("😀 12 !", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_have_owners() {
        let owner = |text: &str| Evidence::read(text, &scan(text)).owner;
        assert_eq!(owner("วันนี้ omg"), Some("th"));
        assert_eq!(owner("東京タワーが好き I like it"), Some("ja"));
        assert_eq!(owner("我喜欢这个城市"), None);
        assert_eq!(owner("I really love watching movies in 東京"), None);
    }
}
