//! Texts as people post them: what rules can see in them ([`scan()`]), a cleaned form for models that keeps the way back to
//! the original ([`Cleaning`]), and a key that reposts of the same words share ([`fingerprint()`]).
//!
//! Everything here is linear in the length of the text. Offsets that leave the crate count characters (Unicode scalar
//! values) of the original text; byte offsets stay inside it.

mod clean;
mod emoji;
mod fingerprint;
#[cfg(test)]
mod nasty;
mod scan;
mod stand_ins;

pub use clean::{CleanText, Cleaning};
pub use fingerprint::fingerprint;
pub use scan::{Span, entities, scan};

pub(crate) use stand_ins::stand_in;

#[cfg(test)]
pub(crate) use nasty::{NASTY, check_spans};

/// The characters `begin..end` of a text; what lies beyond its end is left out.
pub fn slice(text: &str, begin: u32, end: u32) -> &str {
    let mut positions = text.char_indices().map(|(byte, _)| byte).chain(std::iter::once(text.len()));
    let from = positions.nth(begin as usize).unwrap_or(text.len());
    if end <= begin {
        return &text[from..from];
    }
    let to = positions.nth((end - begin - 1) as usize).unwrap_or(text.len());
    &text[from..to]
}

/// Whether a character belongs to a script that is written without spaces between words.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}'        // Thai, Lao
        | '\u{1000}'..='\u{109F}'      // Myanmar
        | '\u{1780}'..='\u{17FF}'      // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30FF}'      // Hiragana, Katakana
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'      // Han
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9F}'
        | '\u{20000}'..='\u{3134F}')
}

/// Whether a character can stand inside a word: letters, digits, the marks that belong to letters, joiners.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    c.is_alphanumeric() || is_mark(c)
}

/// Marks and joiners that continue a word but don't begin one.
pub(crate) fn is_mark(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
        || (c >= '\u{300}' && !is_variation_selector(c) && unicode_normalization::char::is_combining_mark(c))
}

/// The selectors that ask for the text or the emoji form of a character.
pub(crate) fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}')
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn a_slice_counts_characters_and_never_panics() {
        assert_eq!(slice("añb🙂c", 1, 4), "ñb🙂");
        assert_eq!(slice("añ", 1, 900), "ñ");
        assert_eq!(slice("añ", 7, 9), "");
        assert_eq!(slice("añ", 1, 0), "");
        assert_eq!(slice("", 0, 0), "");
    }
}
