//! Finds the feed that a web page names in its head: `<link rel="alternate" type="application/rss+xml" href="...">`
//! (RSS Autodiscovery; RFC 5005 and JSON Feed use the same link).

use crate::kit::http::web_address;
use domain::markup::decode_entities;
use url::Url;

/// Types of feeds.
const TYPES: [&str; 4] = ["application/rss+xml", "application/atom+xml", "application/feed+json", "application/json"];
/// A page names its feeds in its head: no more of it is searched, in bytes.
const HEAD_MAX: usize = 512 << 10;

/// The address of the first feed that a page names. Feeds of comments come last.
pub(super) fn feed_of(page: &[u8], at: &Url) -> Option<Url> {
    let (page, small) = head(page);
    if !has_page(&small) {
        return None;
    }
    let base = tags(&page, &small, "base").find_map(|tag| at.join(&attribute(tag, "href")?).ok());
    let base = base.unwrap_or_else(|| at.clone());
    let mut found: Vec<Url> = tags(&page, &small, "link").filter_map(|tag| address(tag, &base)).collect();
    found.sort_by_key(|url| url.path().to_ascii_lowercase().contains("comments"));
    found.into_iter().next()
}

/// Whether it is a web page.
pub(super) fn is_page(page: &[u8]) -> bool {
    has_page(&head(page).1)
}

/// The head of a page, as it is and in small letters.
fn head(page: &[u8]) -> (String, String) {
    let page = String::from_utf8_lossy(&page[..page.len().min(HEAD_MAX)]).into_owned();
    let small = page.to_ascii_lowercase();
    (page, small)
}

fn has_page(small: &str) -> bool {
    small.contains("<html") || small.contains("<!doctype html")
}

fn address(tag: &str, base: &Url) -> Option<Url> {
    let is = |name: &str, wanted: &dyn Fn(&str) -> bool| attribute(tag, name).is_some_and(|value| wanted(&value));
    let is_alternate = |value: &str| value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("alternate"));
    let is_feed = |value: &str| TYPES.iter().any(|kind| value.trim().to_ascii_lowercase().starts_with(kind));
    if !is("rel", &is_alternate) || !is("type", &is_feed) {
        return None;
    }
    let address = base.join(attribute(tag, "href")?.trim()).ok()?;
    web_address(address.as_str())
}

/// The insides of the tags of this name; `small`: the page in small letters.
fn tags<'a>(page: &'a str, small: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = small.match_indices('<').map(|(at, _)| at + 1);
    starts.filter_map(move |at| {
        let rest = small[at..].strip_prefix(name)?;
        if !rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') {
            return None;
        }
        Some(&page[at + name.len()..at + small[at..].find('>')?])
    })
}

/// The value of an attribute, with or without quotation marks.
pub(super) fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        if end == 0 && rest.is_empty() {
            return None;
        }
        let (key, after) = rest.split_at(end);
        let after = after.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote)?,
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(decode_entities(value).into_owned());
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Option<String> {
        feed_of(page.as_bytes(), &Url::parse("https://a.example/blog/").unwrap()).map(String::from)
    }

    #[test]
    fn a_page_names_its_feed() {
        let rss = r#"type="application/rss+xml""#;
        for (head, feed) in [
            (format!(r#"<link rel="alternate" {rss} title="Blog" href="/feed.xml">"#), "https://a.example/feed.xml"),
            (
                format!("<LINK href='feed?a=1&amp;b=2' {rss} REL='Alternate home'/>"),
                "https://a.example/blog/feed?a=1&b=2",
            ),
            ("<link rel=alternate type=application/atom+xml href=atom.xml>".into(), "https://a.example/blog/atom.xml"),
            (format!(r#"<base href="https://b.example/"><link rel=alternate {rss} href=f>"#), "https://b.example/f"),
            (
                format!(
                    r#"<link rel="alternate" {rss} href="/comments/feed"><link rel="alternate" {rss} href="/feed">"#
                ),
                "https://a.example/feed",
            ),
        ] {
            assert_eq!(found(&format!("<!DOCTYPE html><html><head>{head}</head>")).as_deref(), Some(feed), "{head}");
        }
    }

    #[test]
    fn what_is_no_page_names_none() {
        let link = r#"<link rel="alternate" type="application/rss+xml" href="/feed.xml">"#;
        assert_eq!(found(link), None, "no page");
        for head in [
            "",
            "<link",
            "<link >",
            "<link =>",
            "<link rel=alternate href=x>",
            "<link rel=stylesheet type=application/rss+xml href=x>",
            "<link rel=alternate type=application/rss+xml href=javascript:alert(1)>",
            "<link rel=alternate type=application/rss+xml href=\"x",
            "<links rel=alternate type=application/rss+xml href=x>",
        ] {
            assert_eq!(found(&format!("<html>{head}")), None, "{head}");
        }
    }
}
