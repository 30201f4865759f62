//! How words are compared: one folding for queries and posts, so that what a person would call the same word is the
//! same word. Pure; relies on the Unicode tables of `unicode-normalization` and the standard library.
//!
//! * Compatibility forms fold (NFKC): full-width and half-width letters, the "fancy" mathematical letters of posts.
//! * Case folds, `ß` to `ss`, final sigma to sigma.
//! * Accents fold for Latin and Greek letters (`Nestlé` = `nestle`, `São` = `sao`), because people leave them out when
//!   they type; so do `ø ł đ ı æ œ`, the `ё` of Russian, and the optional vowel points of Arabic and Hebrew. Marks that
//!   make another letter stay: `й`, the voiced kana, everything Indic. German `ä` is `a`, never `ae`.
//! * Invisible characters (joiners, direction marks, soft hyphens, emoji variation selectors) go.
//! * Punctuation separates words and becomes one space; symbols and emoji stay, as do `#`, `@` and `$`.

use crate::markup::decode_entities;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a character is to the search for whole words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// White space and punctuation.
    Separator,
    /// A letter, digit, mark or underscore of a script that puts spaces between words.
    Word,
    /// A character of a script written without spaces, or of Hangul, whose particles stick to the word: found as a
    /// part of a longer run.
    Unspaced,
    /// Emoji, currency and other signs: words by themselves.
    Symbol,
}

/// The class of a folded character.
pub fn class(c: char) -> Class {
    match c {
        'a'..='z' | '0'..='9' | '_' => Class::Word,
        '#' | '@' | '$' | '+' | '&' | '%' => Class::Symbol,
        _ if c.is_ascii() => {
            if is_ascii_symbol(c) {
                Class::Symbol
            } else {
                Class::Separator
            }
        }
        _ if is_unspaced(c) => Class::Unspaced,
        _ if c.is_alphanumeric() || is_combining_mark(c) => Class::Word,
        _ if c.is_whitespace() || c.is_control() || is_punctuation(c) => Class::Separator,
        _ => Class::Symbol,
    }
}

fn is_ascii_symbol(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '^' | '`' | '|' | '~')
}

/// Han, kana, bopomofo, Hangul, Thai, Lao, Khmer, Myanmar, Tibetan.
fn is_unspaced(c: char) -> bool {
    matches!(c as u32,
        0x0E00..=0x0EFF | 0x0F00..=0x0FFF | 0x1000..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF
        | 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3031..=0x3035 | 0x3041..=0x309F | 0x30A1..=0x30FA | 0x30FC..=0x30FF
        | 0x3100..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA960..=0xA97F | 0xAA60..=0xAA7F
        | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// Punctuation beyond ASCII that occurs in posts; what is not listed counts as a symbol.
fn is_punctuation(c: char) -> bool {
    matches!(c as u32,
        0x00A1 | 0x00A7 | 0x00AB | 0x00B6 | 0x00B7 | 0x00BB | 0x00BF | 0x037E | 0x0387 | 0x055A..=0x055F | 0x0589
        | 0x058A | 0x05BE | 0x05C0 | 0x05C3 | 0x05C6 | 0x05F3 | 0x05F4 | 0x060C | 0x060D | 0x061B..=0x061F
        | 0x066A..=0x066D | 0x06D4 | 0x0700..=0x070D | 0x0964 | 0x0965 | 0x0970 | 0x2010..=0x2027 | 0x2030..=0x205E
        | 0x2308..=0x230B | 0x2329 | 0x232A | 0x2E00..=0x2E5D | 0x3001..=0x3003 | 0x3008..=0x3011 | 0x3014..=0x301F
        | 0x3030 | 0x303D | 0x30A0 | 0x30FB | 0xFD3E | 0xFD3F | 0xFE10..=0xFE19 | 0xFE30..=0xFE52
        | 0xFF01..=0xFF0F | 0xFF1A..=0xFF20 | 0xFF3B..=0xFF40 | 0xFF5B..=0xFF65)
}

/// Characters without a shape of their own, and marks that folding drops.
fn is_dropped(c: char) -> bool {
    matches!(c as u32,
        0x00AD | 0x0300..=0x036F | 0x0591..=0x05BD | 0x05BF | 0x05C1 | 0x05C2 | 0x05C4 | 0x05C5 | 0x05C7
        | 0x0610..=0x061A | 0x061C | 0x0640 | 0x064B..=0x065F | 0x0670 | 0x06D6..=0x06DC | 0x180E
        | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x2069 | 0xFE00..=0xFE0F | 0xFEFF)
}

/// Holds an emoji of several together.
const JOINER: char = '\u{200d}';

/// The text as it is searched: folded, with single spaces between what punctuation or white space kept apart. Character
/// entities (`&amp;`) count as their characters.
pub fn fold(text: &str) -> String {
    let text = &*decode_entities(text);
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        text.chars().for_each(|c| push(&mut folded, c.to_ascii_lowercase()));
    } else {
        // NFKC turns a trade mark sign into the letters "TM", which would stick to the brand before it.
        let parted = text.chars().map(|c| if matches!(c, '™' | '℠' | '℡') { ' ' } else { c });
        parted.nfkc().for_each(|c| push_folded(&mut folded, c));
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

fn push_folded(folded: &mut String, c: char) {
    if c.is_ascii() {
        return push(folded, c.to_ascii_lowercase());
    }
    for lower in c.to_lowercase() {
        match lower {
            'ß' => folded.push_str("ss"),
            'ς' => folded.push('σ'),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ё' => folded.push('е'),
            JOINER if folded.chars().next_back().is_some_and(|c| class(c) == Class::Symbol) => folded.push(JOINER),
            _ if is_dropped(lower) => {}
            _ if folds_accents(lower) => {
                std::iter::once(lower).nfd().filter(|c| !is_dropped(*c)).for_each(|c| push(folded, c));
            }
            _ => push(folded, lower),
        }
    }
}

/// Latin and Greek letters with marks.
fn folds_accents(c: char) -> bool {
    matches!(c as u32, 0x00C0..=0x024F | 0x0370..=0x03FF | 0x1E00..=0x1FFF)
}

fn push(folded: &mut String, c: char) {
    if class(c) != Class::Separator {
        folded.push(c);
    } else if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// Where a folded word may begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// A whole word.
    Whole,
    /// A word that begins so.
    Open,
    /// A hashtag: it ends where its letters end, in every script.
    Tag,
}

/// Whether the occurrence `begin..end` of a folded term in a folded text stands as a word of its own.
pub(crate) fn stands_alone(text: &str, begin: usize, end: usize, ending: Ending) -> bool {
    let inside = &text[begin..end];
    if is_part_of_emoji(text, begin, end) {
        return false;
    }
    let before = text[..begin].chars().next_back().map(class);
    let first = inside.chars().next();
    let starts = match first {
        Some('#' | '@' | '$') => before != Some(Class::Word),
        Some(c) => before != Some(Class::Word) || class(c) != Class::Word,
        None => false,
    };
    if !starts {
        return false;
    }
    let after = text[end..].chars().next().map(class);
    match ending {
        Ending::Open => true,
        Ending::Tag => !matches!(after, Some(Class::Word | Class::Unspaced)),
        Ending::Whole => after != Some(Class::Word) || inside.chars().next_back().map(class) != Some(Class::Word),
    }
}

/// Whether an occurrence is a part of an emoji that is joined of several, or half of one flag and half of the next.
fn is_part_of_emoji(text: &str, begin: usize, end: usize) -> bool {
    let inside = &text[begin..end];
    let (before, after) = (&text[..begin], &text[end..]);
    let joined = |c: Option<char>| c.is_some_and(|c| class(c) == Class::Symbol);
    if joined(inside.chars().next()) && before.ends_with(JOINER)
        || joined(inside.chars().next_back()) && after.starts_with(JOINER) && joined(after.chars().nth(1))
    {
        return true;
    }
    let regional = |c: &char| ('\u{1f1e6}'..='\u{1f1ff}').contains(c);
    inside.starts_with(|c| regional(&c)) && before.chars().rev().take_while(regional).count() % 2 == 1
}

/// Whether the term stands as a word of its own anywhere in the text; both folded.
pub(crate) fn contains(text: &str, term: &str, ending: Ending) -> bool {
    let step = term.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(term)) {
        let begin = from + found;
        if stands_alone(text, begin, begin + term.len(), ending) {
            return true;
        }
        from = begin + step;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_call_the_same_word_folds_to_the_same() {
        let pairs = [
            ("Nestlé", "NESTLE"),
            ("São Paulo", "sao paulo"),
            ("Škoda", "skoda"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΌΣ", "οδός"),
            ("İstanbul", "istanbul"),
            ("ISTANBUL", "ıstanbul"),
            ("Ｕｎｉｔｅｄ", "united"),
            ("𝗨𝗻𝗶𝘁𝗲𝗱", "united"),
            ("ｶﾒﾗ", "カメラ"),
            ("cafe\u{301}", "café"),
            ("مُحَمَّد", "محمد"),
            ("👍\u{fe0f}", "👍"),
            ("don’t", "don't"),
            ("soft\u{ad}hyphen", "softhyphen"),
            ("\u{202b}delta\u{202c}", "delta"),
            ("iPhone™ 6", "iphone 6"),
            ("Ёлка", "елка"),
            ("Citroën", "citroen"),
        ];
        for (one, other) in pairs {
            assert_eq!(fold(one), fold(other), "{one} and {other}");
        }
    }

    #[test]
    fn flags_and_joined_emoji_are_whole() {
        let check = |text: &str, term: &str| contains(&fold(text), &fold(term), Ending::Whole);
        assert!(!check("final 🇨🇩🇪🇸", "🇩🇪") && check("final 🇨🇩🇩🇪", "🇩🇪"));
        assert!(check("thanks 👍🏽", "👍") && check("love ❤️", "❤") && check("❤️❤️", "❤"));
        assert!(!check("fire ❤️\u{200d}🔥", "❤") && !check("fire ❤️\u{200d}🔥", "🔥"));
        assert!(check("fire ❤️\u{200d}🔥", "❤️\u{200d}🔥") && check("odd ❤️\u{200d} end", "❤"));
    }

    #[test]
    fn entities_are_what_they_stand_for() {
        let check = |text: &str, term: &str| contains(&fold(text), &fold(term), Ending::Whole);
        assert!(check("New coat from H&amp;M", "H&M") && check("salt &amp; pepper mill", "salt & pepper"));
        assert!(!check("New coat from H&amp;M", "amp"));
    }

    #[test]
    fn letters_that_are_other_letters_stay_apart() {
        for (one, other) in [("мой", "мои"), ("ガ", "カ"), ("कि", "की"), ("ñu", "mu")] {
            assert_ne!(fold(one), fold(other), "{one} and {other}");
        }
    }

    #[test]
    fn punctuation_becomes_one_space_and_symbols_stay() {
        assert_eq!(
            fold("  Late... again!! (AA) #fail @United's 3.5% C++ AT&T 😡 "),
            "late again aa #fail @united s 3 5% c++ at&t 😡"
        );
        assert_eq!(fold("。东京、大阪！"), "东京 大阪");
        assert_eq!(fold("?!…"), "");
    }

    #[test]
    fn whole_words_in_spaced_scripts_and_parts_in_the_others() {
        let check = |text: &str, term: &str| contains(&fold(text), &fold(term), Ending::Whole);
        assert!(check("a delta flight", "delta"));
        assert!(!check("the deltas", "delta"));
        assert!(!check("flydelta", "delta"));
        assert!(check("#delta", "delta") && check("@Delta's", "delta"));
        assert!(check("私は東京都に住む", "東京"));
        assert!(check("ฉันรักกรุงเทพมาก", "กรุงเทพ"));
        assert!(check("삼성이 좋다", "삼성"));
        assert!(check("用iPhone拍的", "iphone"));
        assert!(check("नमस्ते दिल्ली", "दिल्ली"));
        assert!(!check("दिल्लीवाले", "दिल्ली"));
        assert!(check("so 😡😡", "😡"));
        assert!(check("deltas delta", "delta"), "a second occurrence counts");
    }

    #[test]
    fn a_tag_or_handle_does_not_begin_or_end_inside_a_word() {
        assert!(!contains(&fold("me@united.com"), "@united", Ending::Whole));
        assert!(contains(&fold("cc@ @united.com"), "@united", Ending::Whole));
        assert!(!contains(&fold("#日本語"), "#日本", Ending::Tag));
        assert!(contains(&fold("今日#日本"), "#日本", Ending::Tag));
    }
}
