//! What rules can see in a post: links, @mentions, hashtags, cashtags and emoji, found in one pass from left to right.
//! The spans don't overlap. Relies on nothing but the characters themselves.

use super::emoji::emoji_length;
use super::{is_mark, is_word};
use domain::{Entity, EntityKind};
use std::ops::Range;

/// A stretch of the original text that a rule recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub kind: EntityKind,
    /// Bytes of the original text.
    pub bytes: Range<usize>,
    /// Characters of the original text.
    pub chars: Range<u32>,
}

/// Finds the spans of a text, in order, none inside another. Linear in the length of the text.
pub fn scan(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut byte, mut character) = (0, 0_u32);
    let mut before: Option<char> = None;
    while let Some(c) = text[byte..].chars().next() {
        match recognise(&text[byte..], c, before) {
            Some((kind, length)) => {
                let found = &text[byte..byte + length];
                let end = character.saturating_add(found.chars().count() as u32);
                spans.push(Span { kind, bytes: byte..byte + length, chars: character..end });
                before = found.chars().next_back();
                (byte, character) = (byte + length, end);
            }
            None => {
                before = Some(c);
                (byte, character) = (byte + c.len_utf8(), character.saturating_add(1));
            }
        }
    }
    spans
}

/// The spans as entities. A rule that matches is sure of it.
pub fn entities(text: &str, spans: &[Span]) -> Vec<Entity> {
    spans
        .iter()
        .map(|span| Entity {
            text: text[span.bytes.clone()].to_owned(),
            kind: span.kind,
            confidence: 1.0,
            begin: span.chars.start,
            end: span.chars.end,
        })
        .collect()
}

/// The span that begins at the head of `rest`, with its length in bytes.
fn recognise(rest: &str, first: char, before: Option<char>) -> Option<(EntityKind, usize)> {
    if let Some(length) = emoji_length(rest) {
        return Some((EntityKind::Emoji, length));
    }
    // What follows these is the rest of an address or a number, never a host of its own.
    let inside_address = matches!(before, Some('@' | '.' | '-' | '/'));
    let after_word = before.is_some_and(|c| is_word(c) && !super::is_unspaced(c));
    match first {
        '@' | '＠' if !after_word => mention_length(rest, first).map(|n| (EntityKind::Mention, n)),
        // `&#39;` is an HTML entity, `/#top` a part of an address.
        '#' | '＃' if !after_word && !matches!(before, Some('&' | '/')) => {
            hashtag_length(rest, first).map(|n| (EntityKind::Hashtag, n))
        }
        '$' if !after_word && before != Some('$') => cashtag_length(rest).map(|n| (EntityKind::Cashtag, n)),
        'h' | 'H' | 'w' | 'W' if !after_word => link_length(rest, inside_address).map(|n| (EntityKind::Link, n)),
        c if c.is_ascii_alphanumeric() && !after_word && !inside_address => {
            bare_link_length(rest).map(|n| (EntityKind::Link, n))
        }
        _ => None,
    }
}

/// `@name`, `@name@host.example` (Mastodon), `@name.bsky.social`.
fn mention_length(rest: &str, sign: char) -> Option<usize> {
    let name = &rest[sign.len_utf8()..];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = name.find(|c| !is_name(c)).unwrap_or(name.len());
    if length == 0 {
        return None;
    }
    let after = &name[length..];
    let host = match after.strip_prefix('@') {
        Some(host) => domain_length(host).filter(|&n| host[..n].contains('.')).map_or(0, |n| n + 1),
        // A single dot ends a sentence more often than it continues a handle.
        None if after.starts_with('.') => domain_length(after.trim_start_matches('.'))
            .filter(|&n| !after.starts_with("..") && after[1..=n].contains('.'))
            .map_or(0, |n| n + 1),
        None => 0,
    };
    Some(sign.len_utf8() + length + host)
}

/// Letters, digits, marks and underscores of any script, with at least one letter.
fn hashtag_length(rest: &str, sign: char) -> Option<usize> {
    let name = &rest[sign.len_utf8()..];
    let mut has_letter = false;
    let mut length = 0;
    for (at, c) in name.char_indices() {
        let inside = is_word(c) || (at > 0 && matches!(c, '\u{B7}' | '\u{30FB}'));
        if !inside || (at == 0 && is_mark(c)) || emoji_length(&name[at..]).is_some() {
            break;
        }
        has_letter |= c.is_alphabetic();
        length = at + c.len_utf8();
    }
    has_letter.then_some(sign.len_utf8() + length)
}

/// `$ABC`, `$BRK.B`: one to six letters, perhaps one or two more after a dot.
fn cashtag_length(rest: &str) -> Option<usize> {
    let name = &rest[1..];
    let letters = |s: &str| s.bytes().take_while(u8::is_ascii_alphabetic).count();
    let symbol = letters(name);
    if !(1..=6).contains(&symbol) {
        return None;
    }
    let mut length = symbol;
    if let Some(class) = name[symbol..].strip_prefix(['.', '_']) {
        let n = letters(class);
        if (1..=2).contains(&n) && !class[n..].starts_with(is_word) {
            length += 1 + n;
        }
    }
    (!name[length..].starts_with(is_word)).then_some(1 + length)
}

/// `http://`, `https://` or `www.` and what follows.
fn link_length(rest: &str, inside_address: bool) -> Option<usize> {
    let starts = |prefix: &str| rest.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    for prefix in ["https://", "http://", "www."] {
        if starts(prefix) {
            let length = address_length(rest);
            return (length > prefix.len()).then_some(length);
        }
    }
    if inside_address { None } else { bare_link_length(rest) }
}

/// `example.com/page`, or a host alone under one of the domains that are rarely a slip of the space bar.
fn bare_link_length(rest: &str) -> Option<usize> {
    // A cheap look first: this runs at the head of every word.
    let word = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    if rest.as_bytes().get(word) != Some(&b'.') {
        return None;
    }
    let host = domain_length(rest)?;
    let name = &rest[..host];
    let (label, top) = name.rsplit_once('.')?;
    let is_top = (2..=24).contains(&top.len()) && top.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_top || !label.bytes().any(|b| b.is_ascii_alphabetic()) || rest[host..].starts_with('@') {
        return None;
    }
    if rest[host..].starts_with('/') && rest[host + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
        // `and/or.maybe/not` is no address: a host before a path is in lower case.
        return top.bytes().all(|b| b.is_ascii_lowercase()).then(|| address_length(rest));
    }
    const SURE: [&str; 9] = ["com", "org", "net", "edu", "gov", "co.uk", "com.br", "info", "dev"];
    let known = SURE.iter().any(|&tail| {
        name.len() > tail.len() && name.ends_with(tail) && name.as_bytes()[name.len() - tail.len() - 1] == b'.'
    });
    (known && !rest[host..].starts_with(is_word)).then_some(host)
}

/// Bytes of a host name (`a-b.c.example`), without a dot at its end.
fn domain_length(rest: &str) -> Option<usize> {
    // A host name has at most 253 bytes (RFC 1035): the look ahead stays bounded.
    let run =
        rest.bytes().take(254).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')).count();
    let length = rest[..run].find("..").unwrap_or(run);
    let trimmed = rest[..length].trim_end_matches(['.', '-', '_']).len();
    (trimmed > 0 && !rest.starts_with('.')).then_some(trimmed)
}

/// Bytes of an address up to the first character that can't be part of it, less the punctuation that ends the sentence.
fn address_length(rest: &str) -> usize {
    let mut depth = 0_i32;
    let mut end = rest.len();
    for (at, c) in rest.char_indices() {
        let part = match c {
            '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '}' | '|' => false,
            '(' => {
                depth += 1;
                true
            }
            ')' => {
                depth -= 1;
                depth >= 0
            }
            c if c.is_ascii() => c.is_ascii_graphic(),
            // Letters of scripts that put spaces between words may stand in a path; others begin the next word.
            c => matches!(c, '\u{C0}'..='\u{52F}') && c.is_alphanumeric(),
        };
        if !part {
            end = at;
            break;
        }
    }
    rest[..end]
        .trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', '(', '[', ']', '&', '=', '@', '#'])
        .len()
}

#[cfg(test)]
mod tests {
    use super::super::{NASTY, check_spans};
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(&'static str, &str)> {
        scan(text).into_iter().map(|span| (span.kind.as_str(), &text[span.bytes])).collect()
    }

    #[test]
    fn posts_of_many_kinds() {
        let check = |text: &'static str, expected: &[(&str, &str)]| assert_eq!(found(text), expected, "{text}");
        check(
            "RT @JetBlue: #fail http://t.co/AbC1, see https://a.example/x_(y).",
            &[
                ("mention", "@JetBlue"),
                ("hashtag", "#fail"),
                ("link", "http://t.co/AbC1"),
                ("link", "https://a.example/x_(y)"),
            ],
        );
        check("mail me@example.com or @me@mastodon.social!", &[("mention", "@me@mastodon.social")]);
        check("@alice.bsky.social and @united.Thanks", &[("mention", "@alice.bsky.social"), ("mention", "@united")]);
        check("&amp; &#39; &#x27; #1 #2a", &[("hashtag", "#2a")]);
        check("$AAPL up, $BRK.B down, $5, US$GOOG, $$$", &[("cashtag", "$AAPL"), ("cashtag", "$BRK.B")]);
        check(
            "#ریال_مادرید #हिन्दी #東京 #ขอนแก่น",
            &[("hashtag", "#ریال_مادرید"), ("hashtag", "#हिन्दी"), ("hashtag", "#東京"), ("hashtag", "#ขอนแก่น")],
        );
        check("東京@user です #東京🗼すごい", &[("mention", "@user"), ("hashtag", "#東京"), ("emoji", "🗼")]);
        check("https://t.co/abcです www.example.org。", &[("link", "https://t.co/abc"), ("link", "www.example.org")]);
        check("see example.com/a?b=1 and delhi.free wifi, e.g. this.Next", &[("link", "example.com/a?b=1")]);
        check("(http://example.com/a)", &[("link", "http://example.com/a")]);
        check("🇩🇪🇫🇷👨‍👩‍👧‍👦👍🏽❤️", &[("emoji", "🇩🇪"), ("emoji", "🇫🇷"), ("emoji", "👨‍👩‍👧‍👦"), ("emoji", "👍🏽"), ("emoji", "❤️")]);
        check("http:// www. @ # $ ＠ ＃", &[]);
        check("＠user ＃tag", &[("mention", "＠user"), ("hashtag", "＃tag")]);
    }

    #[test]
    fn nasty_texts_give_spans_that_slice_the_original() {
        for text in NASTY {
            check_spans(text, &entities(text, &scan(text)));
        }
    }

    #[test]
    fn a_megabyte_of_any_sign_is_read() {
        for unit in ["@", "#", "$", "a.", "http://", "👨‍", "🇩", "@a.", "www.", "#\u{301}", "a@", "((("] {
            let text = unit.repeat((1 << 20) / unit.len());
            check_spans(&text, &entities(&text, &scan(&text)));
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_ordered_spans(text in "(\\PC|[@#$.:/&;hw\u{200D}\u{FE0F}\u{301}\n]){0,80}") {
            let spans = scan(&text);
            check_spans(&text, &entities(&text, &spans));
            prop_assert!(spans.windows(2).all(|pair| pair[0].bytes.end <= pair[1].bytes.start));
        }
    }
}
