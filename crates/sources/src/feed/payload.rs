//! An entry of a feed as JSON, and the post that it makes. The payload holds what the feed said in one form for RSS, Atom
//! and JSON Feed.

use crate::record::{Format, Origin, Parsed, TEXT_MAX_BYTES, checks};
use domain::markup;
use domain::{Author, Post, PostId, Record, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Entries of feeds.
pub(crate) const FORMAT: Format = Format { name: "feed-1", parse };

/// An entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The id of the post, without its platform.
    pub(super) id: String,
    /// The id that earlier versions of this program gave it.
    #[serde(skip)]
    pub(super) former: Option<String>,
    /// The id of the version that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) replaces: Vec<String>,
    /// Address of the feed.
    pub(super) feed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
    /// When it was published; else when it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) date: Option<Timestamp>,
    /// When it was first read: stands for a date that is not there.
    #[serde(default)]
    pub(super) read_at: Timestamp,
    /// Text or HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
}

impl Entry {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Stands for the words of the entry: when it changes, the entry was edited.
    pub(super) fn hash(&self) -> String {
        format!("{:016x}", xxh3_64(self.text().as_bytes()))
    }

    /// Whether there is anything to read: an entry can be a picture only.
    pub(super) fn has_text(&self) -> bool {
        !self.text().trim().is_empty()
    }

    /// The title, and what is written below it, as people see them.
    fn text(&self) -> String {
        let title = plain(self.title.as_deref().unwrap_or_default());
        let content = plain(self.content.as_deref().unwrap_or_default());
        let mut text = match () {
            () if title.is_empty() || content.starts_with(&title) => content,
            () if content.is_empty() => title,
            () => format!("{title}\n\n{content}"),
        };
        if text.len() > TEXT_MAX_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
        }
        text
    }
}

/// Text or HTML as text, with single spaces and at most one blank line.
fn plain(text: &str) -> String {
    let is_tag =
        |(at, _): (usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
    let text = match text.match_indices('<').any(is_tag) {
        true => markup::html_to_text(text),
        false => markup::decode_entities(text).into_owned(),
    };
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        // No post may hold a NUL character.
        let line = line.replace('\0', "");
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

fn parse(text: &str, origin: &Origin, parsed: &mut Parsed) {
    let entry = serde_json::from_str::<Entry>(text).map_err(|error| format!("not an entry of a feed: {error}"));
    parsed.keep(entry.and_then(|entry| post(entry, text, origin)), text.as_bytes());
}

fn post(entry: Entry, payload: &str, origin: &Origin) -> Result<Record, String> {
    let id = |native: &str| PostId::new(&origin.platform, native).map_err(|error| error.to_string());
    let text = entry.text();
    checks::text(&text)?;
    let author = entry.author.map(|name| Author { username: Some(name), ..Author::default() });
    Ok(Record::Post(Box::new(Post {
        id: id(&entry.id)?,
        source: origin.source.clone(),
        platform: origin.platform.clone(),
        text,
        author,
        url: entry.link.filter(|link| checks::is_link(link)),
        occurred_at: checks::bounded(entry.date, entry.read_at),
        received_at: origin.received_at,
        language_hint: entry.language,
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: entry.replaces.iter().map(|native| id(native)).collect::<Result<_, _>>()?,
        reach: None,
        provenance: origin.provenance,
        topics_hint: Vec::new(),
        payload: payload.to_owned(),
        payload_format: Some(FORMAT.name.into()),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_once() {
        assert_eq!(plain("  two\n words "), "two\nwords");
        assert_eq!(plain("<p>Caf&eacute; &amp; bar</p>\n\n\n<p>a<br/>b &lt;3</p>"), "Café & bar\n\na\nb <3");
        assert_eq!(plain("2 < 3 &amp;amp; 4"), "2 < 3 &amp; 4");
        assert_eq!(plain("<script>alert('x')</script><style>p{}</style>seen<!-- not --> this"), "seen this");
    }

    #[test]
    fn the_title_stands_above_the_content_and_never_twice() {
        let text = |title: &str, content: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Entry { title: some(title), content: some(content), ..Entry::default() }.text()
        };
        assert_eq!(text("Late again", "<p>The train.</p>"), "Late again\n\nThe train.");
        assert_eq!(text("Late again", "Late again: the train."), "Late again: the train.");
        assert_eq!(text("", "The train."), "The train.");
        assert_eq!(text("Late again", ""), "Late again");
        assert_eq!(text("", &"é".repeat(TEXT_MAX_BYTES)).len(), TEXT_MAX_BYTES);
    }
}
