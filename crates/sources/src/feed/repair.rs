//! Mends XML that is not quite a feed, for a second try: roots of other versions, stray `&` and `<`, bad character
//! references, unknown types of text, elements that are not closed, a document that is cut.

use super::discovery::attribute;
use domain::markup::decode_entities;

/// Deepest nesting that is mended.
const DEPTH_MAX: usize = 256;
/// Longest tag and longest reference.
const TAG_MAX_BYTES: usize = 16 << 10;
const REFERENCE_MAX_BYTES: usize = 32;
/// Elements of Atom that hold text.
const TEXTS: [&str; 7] = ["title", "subtitle", "tagline", "summary", "content", "rights", "copyright"];
const ATOM_03: &str = "http://purl.org/atom/ns#";
const ATOM: &str = "http://www.w3.org/2005/Atom";

/// The document as XML that the library reads. `None`: nothing of it can be kept.
pub(super) fn mended(text: &str) -> Option<String> {
    let mut mender = Mender::default();
    let mut rest = text;
    while !rest.is_empty() {
        let words = rest.find('<').unwrap_or(rest.len());
        mender.words(&rest[..words]);
        rest = &rest[words..];
        // Without an end, the document is cut here.
        let Some(after) = (if rest.is_empty() { Some(rest) } else { mender.markup(rest) }) else { break };
        rest = after;
        if mender.open.len() > DEPTH_MAX {
            return None;
        }
    }
    mender.end()
}

#[derive(Default)]
struct Mender {
    out: String,
    /// The elements that are open.
    open: Vec<String>,
    is_atom: bool,
    /// The last thing written is the start of an element.
    is_start: bool,
    /// Length and open elements after the last whole entry.
    whole: Option<(usize, Vec<String>)>,
}

impl Mender {
    fn words(&mut self, words: &str) {
        references(words, &mut self.out);
        self.is_start &= words.is_empty();
    }

    /// Takes the markup at the start of `rest`; returns what follows. `None`: it has no end.
    fn markup<'a>(&mut self, rest: &'a str) -> Option<&'a str> {
        if rest.starts_with("<![CDATA[") {
            let end = rest.find("]]>")? + 3;
            self.out.push_str(&rest[..end]);
            self.is_start = false;
            return Some(&rest[end..]);
        }
        for (start, end) in [("<!--", "-->"), ("<?", "?>"), ("<!", ">")] {
            if rest.starts_with(start) {
                return Some(&rest[rest.find(end)? + end.len()..]);
            }
        }
        if !rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '_') {
            self.words("<");
            return Some(&rest[1..]);
        }
        let end = tag_end(rest)?;
        let tag = &rest[1..end];
        match tag.strip_prefix('/') {
            Some(name) => self.close(name.trim()),
            None => self.start(tag),
        }
        Some(&rest[end + 1..])
    }

    fn start(&mut self, tag: &str) {
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/').trim_end();
        let (given, attributes) = tag.split_at(tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len()));
        let name = current(given);
        let mut attributes = attributes.to_owned();
        if self.open.is_empty() || local(&name) == "channel" {
            attributes = self.root(local(&name), &attributes);
        } else if self.is_text(&name) {
            attributes = typed(local(&name), attributes);
        }
        self.out.push('<');
        self.out.push_str(&name);
        references(&attributes, &mut self.out);
        self.out.push('>');
        self.open.push(name.clone());
        self.is_start = true;
        if is_empty {
            self.close(given);
        }
    }

    /// The attributes of the root with the namespace and the version that the library knows.
    fn root(&mut self, name: &str, attributes: &str) -> String {
        self.is_atom |= matches!(name, "feed" | "entry");
        let attributes = without(attributes, "xmlns").replace(ATOM_03, ATOM);
        match name {
            "rss" => without(&attributes, "version") + " version=\"2.0\"",
            _ => attributes,
        }
    }

    fn is_text(&self, name: &str) -> bool {
        self.is_atom && TEXTS.contains(&local(name))
    }

    /// Closes an element, and those within it that were left open. One that is not open is left out.
    fn close(&mut self, name: &str) {
        let name = current(name);
        let Some(at) = self.open.iter().rposition(|open| *open == name) else { return };
        // The library refuses a feed of Atom with an empty text.
        if self.is_start && self.is_text(&name) {
            self.out.push(' ');
        }
        while self.open.len() > at {
            self.close_last();
        }
        self.is_start = false;
        if matches!(local(&name), "item" | "entry") {
            self.whole = Some((self.out.len(), self.open.clone()));
        }
    }

    fn close_last(&mut self) {
        if let Some(name) = self.open.pop() {
            self.out.push_str(&format!("</{name}>"));
        }
    }

    /// What was read, with whole entries only.
    fn end(mut self) -> Option<String> {
        if !self.open.is_empty() {
            let (length, open) = self.whole.take()?;
            self.out.truncate(length);
            self.open = open;
        }
        while !self.open.is_empty() {
            self.close_last();
        }
        Some(self.out)
    }
}

/// Where a tag ends: the first `>` outside of quotation marks.
fn tag_end(rest: &str) -> Option<usize> {
    let bytes = &rest.as_bytes()[..rest.len().min(TAG_MAX_BYTES)];
    let mut quote = None;
    let end = bytes.iter().position(|byte| {
        match (quote, *byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        quote.is_none() && *byte == b'>'
    });
    end.or_else(|| bytes.iter().position(|byte| *byte == b'>'))
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The name of an element, with dates of Atom 0.3 named as in Atom 1.0.
fn current(name: &str) -> String {
    let renamed = [("modified", "updated"), ("issued", "published")];
    let renamed = renamed.into_iter().find(|(old, _)| *old == name);
    renamed.map_or(name, |(_, new)| new).to_owned()
}

/// The attributes of a text of Atom with a type that the library knows.
fn typed(name: &str, attributes: String) -> String {
    let value = |key: &str| attribute(&attributes, key).unwrap_or_default().to_ascii_lowercase();
    let (kind, mode, is_content) = (value("type"), value("mode"), name == "content");
    let kind = match kind.as_str() {
        _ if kind.contains("xhtml") || kind.contains("html") && mode == "xml" => "xhtml",
        _ if kind.contains("html") => "html",
        "" | "text" | "text/plain" => "text",
        // A picture, for example.
        _ if is_content && kind.contains('/') => return attributes,
        _ => "html",
    };
    without(&without(&attributes, "type"), "src") + &format!(" type=\"{kind}\"")
}

/// Attributes without the one of this name.
fn without(attributes: &str, name: &str) -> String {
    for (at, _) in attributes.match_indices(name) {
        let rest = attributes[at + name.len()..].trim_start().strip_prefix('=').map(str::trim_start);
        let is_whole = attributes[..at].ends_with(|c: char| c.is_ascii_whitespace());
        let Some(rest) = rest.filter(|_| is_whole) else { continue };
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else { continue };
        let Some((_, after)) = rest[1..].split_once(quote) else { continue };
        return format!("{}{after}", &attributes[..at]);
    }
    attributes.to_owned()
}

/// Writes words with `&` only where it begins a reference to a character that there is.
fn references(words: &str, out: &mut String) {
    let mut parts = words.split('&');
    out.push_str(&parts.next().unwrap_or_default().replace('<', "&lt;"));
    for part in parts {
        let head = &part[..part.floor_char_boundary(REFERENCE_MAX_BYTES)];
        let name = head.split_once(';').map(|(name, _)| name).filter(|name| is_name(name));
        let is_known = |name: &str| !decode_entities(&format!("&{name};")).contains([';', '\0', '\u{fffd}']);
        match name {
            Some(name) if is_known(name) => out.push_str(&format!("&{part}")),
            Some(name) if name.starts_with('#') => out.push_str(&format!("\u{fffd}{}", &part[name.len() + 1..])),
            _ => out.push_str(&format!("&amp;{part}")),
        }
    }
}

fn is_name(name: &str) -> bool {
    let letters = name.strip_prefix('#').unwrap_or(name);
    !letters.is_empty() && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mend(text: &str) -> String {
        mended(text).unwrap_or_default()
    }

    #[test]
    fn references_that_are_none_are_mended() {
        assert_eq!(
            mend("<a b='x&y'>R&D &amp; 2 < 3 &lt; &#0; &#xD800; &#233; &nope; &</a>"),
            "<a b='x&amp;y'>R&amp;D &amp; 2 &lt; 3 &lt; \u{fffd} \u{fffd} &#233; &amp;nope; &amp;</a>"
        );
        assert_eq!(mend("<a><![CDATA[R&D <b>]]><!-- & --></a>"), "<a><![CDATA[R&D <b>]]></a>");
    }

    #[test]
    fn elements_that_are_left_open_are_closed_and_half_entries_dropped() {
        assert_eq!(mend("<a><b>1<br>2</b></c></a>"), "<a><b>1<br>2</br></b></a>");
        assert_eq!(mend("<r><c><item>1</item><item>2</it"), "<r><c><item>1</item></c></r>");
        assert_eq!(mend("<r><c><item>1</item><!-- "), "<r><c><item>1</item></c></r>");
        assert_eq!(mended("<r><c>"), None);
        assert_eq!(mended(&"<a>".repeat(DEPTH_MAX + 2)), None);
    }

    #[test]
    fn old_roots_become_new_ones() {
        assert_eq!(
            mend("<rss xmlns='http://backend.userland.com/rss2' version='2.1' xmlns:a='b'/>"),
            "<rss   xmlns:a='b' version=\"2.0\"></rss>"
        );
        let old = "<feed version='0.3' xmlns='http://purl.org/atom/ns#'><title mode='escaped' type='text/html'>a</title><modified/></feed>";
        assert_eq!(
            mend(old),
            "<feed version='0.3' ><title mode='escaped'  type=\"html\">a</title><updated></updated></feed>"
        );
        assert_eq!(
            mend("<feed><title/><content type='odd'></content></feed>"),
            "<feed><title type=\"text\"> </title><content  type=\"html\"> </content></feed>"
        );
    }
}
