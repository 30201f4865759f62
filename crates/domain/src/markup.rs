//! What platforms write around words: character entities and the HTML of the fediverse, turned into the plain text that
//! people see. Each text is turned once, where its post comes in.

use std::borrow::Cow;

/// Entities that X and HTML escape; other names stay as they are.
const NAMED: [(&str, char); 6] =
    [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", '\u{a0}')];

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
        None => NAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((character, end + 1))
}

/// Whether a text is HTML as the fediverse writes it: it begins with a paragraph, or breaks lines by tags.
pub fn is_html(text: &str) -> bool {
    let text = text.trim_start();
    let begins = |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    (begins("<p>") || begins("<p ") || begins("<div") || begins("<span") || begins("<a ")) && text.contains("</")
        || ["<br>", "<br/>", "<br />"].iter().any(|tag| text.contains(tag))
}

/// The words of HTML: a blank line between paragraphs, a line break for `<br>`, other tags gone, entities decoded.
pub fn html_to_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
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
    }

    #[test]
    fn paragraphs_become_lines_and_tags_go() {
        let html = "<p>New <a href=\"https://a.example\" class=\"hashtag\">#<span>bus</span></a> on Mill Lane!<br />Good</p><p>A &amp; B</p>";
        assert!(is_html(html));
        assert_eq!(html_to_text(html), "New #bus on Mill Lane!\nGood\n\nA & B");
        assert!(!is_html("2 < 3 and 4 > 1") && !is_html("I <3 you"));
        assert_eq!(html_to_text("2 < 3 and 4 > 1"), "2 < 3 and 4 > 1");
        assert_eq!(html_to_text("<p>cut <a"), "cut <a");
    }
}
