//! What platforms write around words: character entities and the HTML of the fediverse, turned into the plain text that
//! people see. Each text is turned once, where its post comes in.

use std::borrow::Cow;

/// Entities by name; other names stay as they are.
const NAMED: [(&str, char); 30] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("hellip", '…'),
    ("bull", '•'),
    ("euro", '€'),
    ("trade", '™'),
    ("larr", '←'),
    ("rarr", '→'),
    ("minus", '−'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
    ("ensp", '\u{2002}'),
    ("thinsp", '\u{2009}'),
    ("zwj", '\u{200d}'),
];
/// The names of U+00A0 to U+00FF, in order.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
    sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
    AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times \
    Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute \
    ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc \
    uuml yacute thorn yuml";

/// The text with its character entities (`&amp;`, `&#39;`, `&#x1F600;`) as characters, each decoded once.
pub fn decode_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') || !text.contains(';') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match entity(rest) {
            Some((character, length)) => {
                decoded.push(character);
                length
            }
            None => {
                decoded.push('&');
                1
            }
        };
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character of the entity at the start of the text, and the entity's length.
fn entity(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 10;
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let character = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| !c.is_control() || *c == '\n')?
        }
        None => named(name)?,
    };
    Some((character, end + 1))
}

fn named(name: &str) -> Option<char> {
    let known = NAMED.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
    let latin = || LATIN_1.split(' ').zip('\u{a0}'..='\u{ff}').find(|(known, _)| *known == name);
    known.or_else(|| latin().map(|(_, character)| character))
}

/// Whether a text is HTML as the fediverse writes it: it begins with a paragraph, or breaks lines by tags.
pub fn is_html(text: &str) -> bool {
    let text = text.trim_start();
    let begins = |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    (begins("<p>") || begins("<p ") || begins("<div") || begins("<span") || begins("<a ")) && text.contains("</")
        || ["<br>", "<br/>", "<br />"].iter().any(|tag| text.contains(tag))
}

/// The words of HTML: a blank line between paragraphs, a line break for `<br>`, other tags gone, entities decoded. What
/// is no text (comments, scripts, styles) is left out.
pub fn html_to_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        if let Some(length) = no_text(&rest[at..]) {
            rest = &rest[at + length..];
            continue;
        }
        let Some(end) = rest[at..].find('>') else {
            rest = &rest[at..];
            break;
        };
        let name = rest[at + 1..at + end].trim_end_matches('/').split_whitespace().next().unwrap_or("");
        match name.to_ascii_lowercase().as_str() {
            "br" => text.push('\n'),
            "/p" | "/div" | "/li" | "/blockquote" | "/h1" | "/h2" | "/h3" => text.push_str("\n\n"),
            _ if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') => {}
            // No tag: "2 < 3 and 4 > 1".
            _ => text.push_str(&rest[at..=at + end]),
        }
        rest = &rest[at + end + 1..];
    }
    text.push_str(rest);
    decode_entities(text.trim()).into_owned()
}

/// The length of a comment, script or style at the start; `None`: there is none.
fn no_text(html: &str) -> Option<usize> {
    let begins = |tag: &str| html.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    let (_, end) =
        [("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>")].into_iter().find(|(tag, _)| begins(tag))?;
    let found = html
        .char_indices()
        .find(|(at, _)| html.get(*at..at + end.len()).is_some_and(|it| it.eq_ignore_ascii_case(end)));
    Some(found.map_or(html.len(), |(at, _)| at + end.len()))
}

/// Whether a value is what programs write where there is nothing: blank, `nan`, `None`, `null`, `N/A`.
pub fn is_missing(value: &str) -> bool {
    let value = value.trim();
    const WORDS: [&str; 10] = ["nan", "none", "null", "nil", "n/a", "#n/a", "<na>", "nat", "undefined", "-"];
    value.is_empty() || matches!(value, "[]" | "{}") || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_nothing_are_nothing() {
        assert!(["", " ", "NaN", "None", "null", "N/A", "-", "[]"].into_iter().all(is_missing));
        assert!(!["NA", "Nantes", "Windhoek, NA", "nano", "0"].into_iter().any(is_missing));
    }

    #[test]
    fn entities_are_decoded_once() {
        assert_eq!(
            decode_entities("H&amp;M &lt;3 &#39;n&#x27; AT&T &amp;amp; &unknown; &"),
            "H&M <3 'n' AT&T &amp; &unknown; &"
        );
        assert_eq!(decode_entities("&é; &#0; &#xD800;"), "&é; &#0; &#xD800;");
        assert_eq!(decode_entities("caf&eacute;&nbsp;&yuml; &ldquo;a&rdquo; &mdash; &hellip;"), "café\u{a0}ÿ “a” — …");
    }

    #[test]
    fn paragraphs_become_lines_and_tags_go() {
        let html = "<p>New <a href=\"https://a.example\" class=\"hashtag\">#<span>bus</span></a> on Mill Lane!<br />Good</p><p>A &amp; B</p>";
        assert!(is_html(html));
        assert_eq!(html_to_text(html), "New #bus on Mill Lane!\nGood\n\nA & B");
        assert!(!is_html("2 < 3 and 4 > 1") && !is_html("I <3 you"));
        assert_eq!(html_to_text("2 < 3 and 4 > 1"), "2 < 3 and 4 > 1");
        assert_eq!(html_to_text("<p>cut <a"), "cut <a");
        assert_eq!(html_to_text("a<!-- <b> -->b<SCRIPT>if (1 < 2) {}</Script>c<style>p{}"), "abc");
    }
}
