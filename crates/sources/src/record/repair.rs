//! JSON that scripts write and no parser takes: `NaN` where there is no number, and half of an emoji (`\ud83d`). Both
//! stand where a value can be left out or a character replaced, so the record is kept.

/// The text as valid JSON, when these were its only faults; `None` when there is nothing to repair.
pub(crate) fn repair(text: &str) -> Option<String> {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        let taken = if in_text { inside(rest, &mut repaired) } else { outside(rest, &mut repaired) };
        in_text ^= c == '"';
        rest = &rest[taken..];
    }
    (repaired != text).then_some(repaired)
}

/// Takes one step inside a text; gives the bytes taken.
fn inside(rest: &str, repaired: &mut String) -> usize {
    let Some(escaped) = rest.strip_prefix('\\') else {
        return copy(rest, 1, repaired);
    };
    match unit(rest) {
        None => {
            let next = escaped.chars().next().map_or(0, char::len_utf8);
            repaired.push_str(&rest[..1 + next]);
            1 + next
        }
        Some(0xd800..0xdc00) if matches!(rest.get(6..).and_then(unit), Some(0xdc00..0xe000)) => {
            repaired.push_str(&rest[..12]);
            12
        }
        Some(0xd800..0xe000) => {
            repaired.push_str("\\ufffd");
            6
        }
        Some(_) => copy(rest, 6, repaired),
    }
}

/// Takes one step between texts.
fn outside(rest: &str, repaired: &mut String) -> usize {
    for word in ["NaN", "-Infinity", "Infinity"] {
        if rest.starts_with(word) {
            repaired.push_str("null");
            return word.len();
        }
    }
    copy(rest, 1, repaired)
}

/// Copies so many characters.
fn copy(rest: &str, chars: usize, repaired: &mut String) -> usize {
    let end = rest.char_indices().nth(chars).map_or(rest.len(), |(at, _)| at);
    repaired.push_str(&rest[..end]);
    end
}

/// The code of `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// What a record that is no JSON most likely is.
pub(crate) fn suspect(text: &str) -> Option<&'static str> {
    if text.starts_with("{'") || text.starts_with("{u'") {
        return Some("it looks like a printed Python dictionary: write it with json.dumps");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_and_half_emoji_are_repaired_and_nothing_else() {
        let broken = r#"{"a":NaN,"b":-Infinity,"c":"NaN \ud83d \\ud83d \" NaN","d":"\ud83d\ude00"}"#;
        let fixed = r#"{"a":null,"b":null,"c":"NaN \ufffd \\ud83d \" NaN","d":"\ud83d\ude00"}"#;
        assert_eq!(repair(broken).as_deref(), Some(fixed));
        assert_eq!(repair(fixed), None);
        assert_eq!(repair("{\"a\":\"\\ud8"), None);
        assert_eq!(repair("{\"é\\é\":1}"), None);
    }
}
