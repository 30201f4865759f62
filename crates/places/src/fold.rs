//! Spellings that mean the same letter become one: case, accents, width, styled letters, Arabic and Persian variants.
//! The index is built with this code and searched with it, so that both always agree.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Appends the folded form of a letter; nothing for a mark that does not count.
pub(crate) fn fold_char(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else if is_hangul_syllable(c) {
        // Taken whole: apart they would be three letters each, and the index three times as long.
        out.push(c);
    } else {
        decompose_compatible(c, |part| fold_part(part, out));
    }
}

fn fold_part(c: char, out: &mut String) {
    match c {
        'a'..='z' | '0'..='9' => out.push(c),
        'A'..='Z' => out.push(c.to_ascii_lowercase()),
        'ß' | 'ẞ' => out.push_str("ss"),
        'æ' | 'Æ' => out.push_str("ae"),
        'œ' | 'Œ' => out.push_str("oe"),
        'ø' | 'Ø' => out.push('o'),
        'ł' | 'Ł' => out.push('l'),
        'đ' | 'Đ' | 'ð' | 'Ð' => out.push('d'),
        'ħ' | 'Ħ' => out.push('h'),
        'ı' => out.push('i'),
        'ŋ' | 'Ŋ' => out.push('n'),
        'þ' | 'Þ' => out.push_str("th"),
        'ə' | 'Ə' => out.push('e'),
        // Arabic: the writing of Persian, Urdu and plain Arabic keyboards.
        'ى' | 'ی' | 'ې' => out.push('ي'),
        'ک' => out.push('ك'),
        'ة' | 'ہ' | 'ۀ' => out.push('ه'),
        'ς' => out.push('σ'),
        'ё' | 'Ё' => out.push('е'),
        _ if is_dropped(c) => {}
        _ => out.extend(c.to_lowercase()),
    }
}

/// Marks that people leave out, and signs without a sound. Vowel signs of Indic scripts and the like stay: there they
/// make the word.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{2b0}'..='\u{2ff}' | '\u{ad}')
}

fn is_hangul_syllable(c: char) -> bool {
    ('\u{ac00}'..='\u{d7a3}').contains(&c)
}

/// A letter, a digit or a sign that belongs to one.
pub(crate) fn is_word_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    // Enclosed and styled letters count ("🅽🆈🅲" does not: it has no plain form); superscripts and ² do not matter.
    c.is_alphanumeric() || (is_combining_mark(c) && !('\u{fe00}'..='\u{fe0f}').contains(&c) && c != '\u{20e3}')
}

/// Scripts written without spaces: a name may begin and end at any letter.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        let mut out = String::new();
        text.chars().for_each(|c| fold_char(c, &mut out));
        out
    }

    #[test]
    fn spellings_of_one_name_meet() {
        assert_eq!(fold("MÜNCHEN"), "munchen");
        assert_eq!(fold("Łódź"), "lodz");
        assert_eq!(fold("Weißensee"), "weissensee");
        assert_eq!(fold("𝓝𝔂𝓬"), "nyc");
        assert_eq!(fold("ＴＯＫＹＯ"), "tokyo");
        assert_eq!(fold("Йошкар"), fold("йошкар"));
        assert_eq!(fold("تهران"), fold("تَهران"));
        assert_eq!(fold("İstanbul"), "istanbul");
        assert_eq!(fold("서울"), "서울");
    }

    #[test]
    fn indic_vowel_signs_stay() {
        assert_ne!(fold("दिल्ली"), fold("दल्ल"));
    }
}
