//! A feed's document into entries with stable ids. Relies on `feed-rs` for RSS, Atom and JSON Feed.

use super::discovery::attribute;
use super::payload::Entry;
use super::{dates, encoding, repair};
use crate::kit::http::web_address;
use domain::Timestamp;
use domain::markup::decode_entities;
use feed_rs::model::{self, FeedType};
use feed_rs::parser::Builder;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use url::{Position, Url};
use xxhash_rust::xxh3::Xxh3;

/// Most entries of one document; real ones have well under a thousand.
const ENTRIES_MAX: usize = 5_000;
/// Longest content that is kept, well above the longest text of a post.
const CONTENT_MAX_BYTES: usize = 1 << 20;
/// Longest author and link.
const AUTHOR_MAX_CHARS: usize = 200;
const LINK_MAX_CHARS: usize = 2_000;
/// Links of these relations lead elsewhere.
const NOT_OF_ENTRIES: [&str; 6] = ["license", "self", "via", "enclosure", "edit", "replies"];
/// Longest id that is kept as it is.
const ID_MAX_BYTES: usize = 400;

/// What a document says.
#[derive(Debug)]
pub(super) struct Document {
    /// The oldest first.
    pub(super) entries: Vec<Entry>,
    /// For how long the feed says that it stays the same.
    pub(super) ttl: Option<Duration>,
    /// Hours of the day, UTC, in which it wants to be left alone.
    pub(super) skip_hours: Vec<u32>,
    /// What was left out or assumed, for the status.
    pub(super) notes: Vec<String>,
}

/// Where and when a document was read.
pub(super) struct Place {
    /// Its address, for relative links.
    pub(super) at: Url,
    /// The feed's configured address, for ids that are unique within the feed only; they stay the same when it moves.
    pub(super) feed: Url,
    /// The charset of the `Content-Type`.
    pub(super) charset: Option<String>,
    pub(super) now: Timestamp,
}

impl Document {
    pub(super) fn read(body: &[u8], place: &Place) -> Result<Self, String> {
        let text = encoding::text(body, place.charset.as_deref())?;
        let mut document = parse(&text, &place.at)?;
        let older = keep_newest(&mut document.entries, place.now);
        let language = document.language.as_deref().map(str::to_lowercase);
        let entries = document.entries.into_iter();
        let ttl = document.ttl.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
        let is_rss = matches!(document.feed_type, FeedType::RSS0 | FeedType::RSS1 | FeedType::RSS2);
        let not_links = not_links(&text);
        let entries: Vec<Named> = entries
            .map(|entry| {
                let is_link = is_rss && !not_links.contains(entry.id.trim());
                let guid = web_address(entry.id.trim()).filter(|_| is_link).map(String::from);
                of_entry(entry, guid, place, language.as_deref())
            })
            .collect();
        let mut entries = told_apart(entries);
        entries.reverse();
        let listed = entries.len();
        entries.retain(Entry::has_text);
        let undated = entries.iter().filter(|entry| entry.date.is_none()).count();
        let undated = (undated > 0)
            .then(|| format!("{undated} entries without a readable date: when they were first read counts"));
        let older = left_out(older, &format!("beyond the newest {ENTRIES_MAX}"));
        let textless = left_out(listed - entries.len(), "without text");
        let notes = textless.into_iter().chain(older).chain(undated).collect();
        Ok(Self { entries, ttl, skip_hours: skip_hours(&text), notes })
    }
}

/// Reads a document; one that brings no entry, once more as it is mended.
fn parse(text: &str, at: &Url) -> Result<model::Feed, String> {
    let is_whole = |document: &model::Feed| !document.entries.is_empty() || !lists_entries(text);
    let first = try_parse(text, at);
    if let Ok(document) = first {
        if is_whole(&document) {
            return Ok(document);
        }
        let reason = "it has entries, but none in a form that is known (RSS, Atom or JSON Feed)";
        return mended(text, at).filter(is_whole).ok_or_else(|| reason.into());
    }
    first.or_else(|reason| mended(text, at).filter(is_whole).ok_or(reason))
}

fn mended(text: &str, at: &Url) -> Option<model::Feed> {
    try_parse(&repair::mended(text.strip_prefix('<').map(|_| text)?)?, at).ok()
}

fn try_parse(text: &str, at: &Url) -> Result<model::Feed, String> {
    // Ids that are missing are made here: those of the library can be random.
    let parser = Builder::new().base_uri(Some(at.as_str())).id_generator(|_, _, _| String::new());
    let parser = parser.timestamp_parser(dates::parse).build();
    parser.parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// Whether there are elements that stand for entries.
fn lists_entries(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_whitespace() || c == '>' || c == '/';
    ["<item", "<entry"]
        .iter()
        .any(|tag| text.match_indices(tag).any(|(at, _)| text[at + tag.len()..].starts_with(is_end)))
}

/// A note about so many entries that were left out.
fn left_out(count: usize, which: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 entry {which} was left out")),
        _ => Some(format!("{count} entries {which} were left out")),
    }
}

/// Leaves the newest entries, in their order; returns how many are left out. One without a date counts as new.
fn keep_newest(entries: &mut Vec<model::Entry>, now: Timestamp) -> usize {
    let older = entries.len().saturating_sub(ENTRIES_MAX);
    if older > 0 {
        let date = |entry: &model::Entry| entry.published.or(entry.updated).unwrap_or(now);
        let mut dates: Vec<_> = entries.iter().map(|entry| Reverse(date(entry))).zip(0..).collect();
        dates.sort();
        let kept: HashSet<usize> = dates.iter().take(ENTRIES_MAX).map(|(_, at)| *at).collect();
        let mut places = 0..;
        entries.retain(|_| places.next().is_some_and(|at| kept.contains(&at)));
    }
    older
}

/// An entry, and its id for the case that another one of its document has the same.
struct Named {
    entry: Entry,
    apart: String,
}

/// Entries that share an id are different ones if their links differ; without a `guid`, if their titles or texts differ. Of
/// those that stay the same, the one that is listed first is kept.
fn told_apart(entries: Vec<Named>) -> Vec<Entry> {
    let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
    for Named { entry, apart } in entries.iter().filter(|named| named.apart != named.entry.id) {
        ids.entry(entry.id.clone()).or_default().insert(apart.clone());
    }
    let named = entries.into_iter().map(|Named { mut entry, apart }| {
        if ids.get(&entry.id).is_some_and(|apart| apart.len() > 1) {
            entry.id = apart;
        }
        entry
    });
    let mut listed = HashSet::new();
    named.filter(|entry| listed.insert(entry.id.clone())).collect()
}

/// `guid`: its id, if that is a link.
fn of_entry(entry: model::Entry, guid: Option<String>, place: &Place, language: Option<&str>) -> Named {
    let title = entry.title.map(|title| title.content);
    let content = entry.content.and_then(|content| content.body);
    let content = content.filter(|content| !content.trim().is_empty());
    let content = content.or(entry.summary.map(|summary| summary.content)).or_else(|| description(&entry.media));
    let link = link(&entry.links).or(guid.as_deref());
    let (id, apart) = ids(&entry.id, link, title.as_deref(), content.as_deref(), &place.feed);
    let author = entry.authors.into_iter().find_map(|author| author.name).filter(|name| !name.trim().is_empty());
    let entry = Entry {
        former: entry.id.trim().is_empty().then(|| apart.clone()),
        id,
        replaces: Vec::new(),
        feed: shown(&place.feed),
        author: author.map(|name| name.trim().chars().take(AUTHOR_MAX_CHARS).collect()),
        language: entry.language.map(|code| code.to_lowercase()).or_else(|| language.map(str::to_owned)),
        date: entry.published.or(entry.updated),
        read_at: place.now,
        title: title.map(bounded),
        link: link.filter(|link| link.chars().count() <= LINK_MAX_CHARS).map(str::to_owned),
        content: content.map(bounded),
    };
    Named { entry, apart }
}

/// Where an entry can be read.
fn link(links: &[model::Link]) -> Option<&str> {
    let rel = |link: &model::Link| link.rel.clone().unwrap_or_else(|| "alternate".into()).to_ascii_lowercase();
    let fits = |link: &&model::Link| link.target.is_none() && !NOT_OF_ENTRIES.contains(&rel(link).as_str());
    let page = links.iter().filter(fits).find(|link| rel(link) == "alternate");
    page.or_else(|| links.iter().find(fits)).map(|link| link.href.as_str())
}

/// A tag with its guid is not longer; what is, is not looked at.
const GUID_MAX_BYTES: usize = 4_096;

/// The `guid`s that say that they are no links, which the library does not tell.
fn not_links(text: &str) -> HashSet<String> {
    let guids = text.match_indices("<guid").filter_map(|(at, tag)| {
        let rest = &text[at + tag.len()..];
        rest[..rest.floor_char_boundary(GUID_MAX_BYTES)].split_once('>')
    });
    let no_links =
        guids.filter(|(tag, _)| attribute(tag, "isPermaLink").is_some_and(|value| value.eq_ignore_ascii_case("false")));
    let words = no_links.filter_map(|(_, rest)| rest.split('<').next());
    words.map(|guid| decode_entities(guid.trim()).into_owned()).collect()
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(CONTENT_MAX_BYTES));
    text
}

/// The address of a feed without what can be a secret: password and values of the query.
fn shown(feed: &Url) -> String {
    let address = format!("{}://{}", feed.scheme(), &feed[Position::BeforeHost..Position::AfterPath]);
    let names: Vec<String> = feed.query_pairs().map(|(name, _)| format!("{name}=***")).collect();
    if names.is_empty() { address } else { format!("{address}?{}", names.join("&")) }
}

/// Video feeds describe their entries in their media.
fn description(media: &[model::MediaObject]) -> Option<String> {
    media.iter().find_map(|media| media.description.as_ref()).map(|text| text.content.clone())
}

/// A stable id, and one for the case that another entry of the document has the same. An id that is unique in the world
/// (an address, a URN) is taken, so that the same entry in two feeds is one post; one that is unique in its feed gets the
/// feed's mark. Without one, the link counts, else the title, else the text.
fn ids(given: &str, link: Option<&str>, title: Option<&str>, content: Option<&str>, feed: &Url) -> (String, String) {
    let (given, title) = (given.trim(), title.unwrap_or_default());
    let link = link.map(|link| canonical(link).unwrap_or_else(|| link.to_owned()));
    if given.is_empty() {
        let content = content.unwrap_or_default();
        return match link {
            Some(link) => (made(&[&link]), made(&[&link, title])),
            None if title.trim().is_empty() => {
                (made(&[feed.as_str(), "", content]), made(&[feed.as_str(), title, content]))
            }
            None => (made(&[feed.as_str(), title]), made(&[feed.as_str(), title, content])),
        };
    }
    let id = id(given, feed);
    let apart = link.map_or_else(|| id.clone(), |link| made(&[feed.as_str(), given, &link]));
    (id, apart)
}

fn id(given: &str, feed: &Url) -> String {
    let is_plain = given.len() <= ID_MAX_BYTES && !given.chars().any(|c| c.is_whitespace() || c.is_control());
    match canonical(given) {
        Some(address) if address.len() <= ID_MAX_BYTES => address,
        _ if is_plain && (given.starts_with("urn:") || given.starts_with("tag:")) => given.to_owned(),
        _ => made(&[feed.as_str(), given]),
    }
}

/// A web address without what differs from place to place where it is cited.
fn canonical(address: &str) -> Option<String> {
    let mut url = web_address(address)?;
    url.set_scheme("https").ok()?;
    let is_kept = |(name, _): &(_, _)| !AsRef::<str>::as_ref(name).starts_with("utm_");
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(is_kept).collect();
    if kept.len() < url.query_pairs().count() {
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    Some(url.into())
}

fn made(parts: &[&str]) -> String {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("made-{:032x}", hash.digest128())
}

/// The hours of `<skipHours>`, which the library does not read.
fn skip_hours(text: &str) -> Vec<u32> {
    let Some((_, rest)) = text.split_once("<skipHours>") else { return Vec::new() };
    let inside = rest.split("</skipHours>").next().unwrap_or_default();
    let hours = inside.split("<hour>").skip(1).filter_map(|part| part.split('<').next()?.trim().parse().ok());
    hours.filter(|hour| *hour <= 24).map(|hour: u32| hour % 24).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Document {
        try_read(body).unwrap()
    }

    fn try_read(body: &str) -> Result<Document, String> {
        let url = Url::parse("https://example.org/feed.xml").unwrap();
        let place = Place { at: url.clone(), feed: url, charset: None, now: Timestamp::UNIX_EPOCH };
        Document::read(body.as_bytes(), &place)
    }

    #[test]
    fn rss_atom_and_json_give_the_same_entry() {
        let rss = r#"<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://example.org/</link>
            <description>d</description><language>de-DE</language><ttl>60</ttl>
            <skipHours><hour>3</hour><hour>24</hour></skipHours>
            <item><title>Late</title><link>https://example.org/1</link><guid>https://example.org/1</guid>
            <pubDate>Sun, 01 Nov 2026 10:00:00 GMT</pubDate><description>&lt;p&gt;The train.&lt;/p&gt;</description></item>
            </channel></rss>"#;
        let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de-DE"><title>News</title><id>urn:f</id>
            <updated>2026-11-01T10:00:00Z</updated><entry><id>http://example.org/1</id><title>Late</title>
            <link href="https://example.org/1"/><published>2026-11-01T10:00:00Z</published>
            <updated>2026-11-01T11:00:00Z</updated><content type="html">&lt;p&gt;The train.&lt;/p&gt;</content></entry></feed>"#;
        let json = r#"{"version":"https://jsonfeed.org/version/1.1","title":"News","language":"de-DE","items":[
            {"id":"https://example.org/1?utm_source=rss","url":"https://example.org/1","title":"Late",
            "date_published":"2026-11-01T10:00:00Z","content_html":"<p>The train.</p>"}]}"#;
        let expected = Entry {
            id: "https://example.org/1".into(),
            feed: "https://example.org/feed.xml".into(),
            title: Some("Late".into()),
            link: Some("https://example.org/1".into()),
            language: Some("de-de".into()),
            date: Some("2026-11-01T10:00:00Z".parse().unwrap()),
            content: Some("<p>The train.</p>".into()),
            ..Entry::default()
        };
        for body in [rss, atom, json] {
            let mut entries = read(body).entries;
            // Atom tells the language of a feed by an attribute that the library reads for entries only.
            entries[0].language.get_or_insert("de-de".into());
            assert_eq!(entries, std::slice::from_ref(&expected), "{body}");
        }
        let rss = read(rss);
        assert_eq!((rss.ttl, rss.skip_hours), (Some(Duration::from_secs(3_600)), vec![3, 0]));
    }

    #[test]
    fn ids_are_stable_and_unique_in_the_world() {
        let feed = Url::parse("https://example.org/feed.xml").unwrap();
        let id = |given: &str, link: Option<&str>, title: &str| super::ids(given, link, Some(title), None, &feed).0;
        assert_eq!(id("urn:uuid:1", None, ""), "urn:uuid:1");
        assert_eq!(id("http://a.org/x?utm_medium=rss&p=2#c", None, ""), "https://a.org/x?p=2#c");
        assert!(id("17", None, "").starts_with("made-"));
        assert_eq!(id("17", None, "a"), id("17", None, "b"), "the title may change");
        assert_ne!(id("17", None, ""), id("18", None, ""));
        assert_eq!(id("", Some("http://a.org/x"), "t"), id("", Some("https://a.org/x"), "t"));
        assert_eq!(id("", Some("http://a.org/x"), "t"), id("", Some("http://a.org/x"), "u"), "an edit of the title");
        assert_ne!(id("", None, "t"), id("", None, "u"));
        assert_eq!(id("", None, "t"), id("", None, "t"));
        assert!(id(&"9".repeat(5_000), None, "").len() < 100);
    }

    #[test]
    fn the_password_of_a_feed_is_not_kept_with_its_entries() {
        let url = Url::parse("https://me:secret@example.org/feed.xml?a=1&token=secret").unwrap();
        let body = b"<rss version=\"2.0\"><channel><title>t</title><item><title>u</title></item></channel></rss>";
        let place = Place { at: url.clone(), feed: url, charset: None, now: Timestamp::UNIX_EPOCH };
        let document = Document::read(body, &place).unwrap();
        assert_eq!(document.entries[0].feed, "https://example.org/feed.xml?a=***&token=***");
    }

    #[test]
    fn an_endless_entry_is_kept_up_to_a_limit() {
        let long = "é".repeat(5 << 20);
        let item = format!("<item><guid>https://example.org/1</guid><description>{long}</description></item>");
        let entries = read(&format!("<rss version=\"2.0\"><channel><title>t</title>{item}</channel></rss>")).entries;
        assert_eq!(entries[0].content.as_ref().map(String::len), Some(CONTENT_MAX_BYTES));
        assert!(entries[0].to_json().len() < crate::record::RECORD_MAX_BYTES);
    }

    #[test]
    fn an_id_that_is_listed_twice_is_one_entry() {
        let item = |title: &str| format!("<item><title>{title}</title><guid>https://example.org/1</guid></item>");
        let items: String = ["new", "old"].map(item).concat();
        let entries = read(&format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>")).entries;
        let titles: Vec<_> = entries.iter().map(|entry| entry.title.as_deref()).collect();
        assert_eq!(titles, [Some("new")]);
    }

    #[test]
    fn old_and_broken_feeds_are_read() {
        let atom = r#"<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>t</title><entry><title>Late</title>
            <id>tag:1</id><issued>2026-11-01T10:00:00Z</issued><modified>2026-11-02T10:00:00Z</modified>
            <content type="text/html" mode="escaped">&lt;p&gt;The train.&lt;/p&gt;</content></entry></feed>"#;
        let entry = &read(atom).entries[0];
        assert_eq!(entry.date, Some("2026-11-01T10:00:00Z".parse().unwrap()));
        assert_eq!(entry.content.as_deref(), Some("<p>The train.</p>"));
        let item = "<item><title>Late</title><guid>1</guid></item>";
        let rss = |root: &str, inside: &str| format!("<rss {root}><channel><title>t</title>{inside}</channel></rss>");
        for body in [
            rss("xmlns='http://backend.userland.com/rss2' version='2.0'", item),
            rss("xmlns='http://purl.org/rss/1.0/' version='2.0'", item),
            rss("", item),
            rss("version='2.1'", item),
            rss("version='2.0'", &item.replace("Late", "Late & &#0;")),
            rss("version='2.0'", item).replace("</channel></rss>", "<item><title>half"),
            "<feed xmlns='http://www.w3.org/2005/Atom'><title type='odd'>t</title><subtitle/><entry><id>urn:1</id>\
                <title type='plain'>Late</title><content type='html'/></entry></feed>"
                .into(),
        ] {
            let entries = read(&body).entries;
            assert_eq!(entries.len(), 1, "{body}");
            assert!(entries[0].title.as_deref().is_some_and(|title| title.starts_with("Late")), "{body}");
        }
        let unknown = "<feed xmlns='urn:x'><a:entry xmlns:a='urn:y'/><x><entry/></x></feed>";
        assert!(try_read(unknown).unwrap_err().contains("none in a form"));
    }

    #[test]
    fn entries_without_text_are_left_out_and_counted() {
        let items =
            ["<title>Late</title>", "<description>&lt;img src='a.png'&gt;</description>", "<enclosure url='a.png'/>"];
        let items = items.map(|inside| format!("<item><guid>{}</guid>{inside}</item>", inside.len())).concat();
        let document = read(&format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>"));
        assert_eq!(document.entries.len(), 1);
        assert_eq!(document.notes[0], "2 entries without text were left out");
        assert!(document.notes[1].starts_with("1 entries without a readable date"));
    }

    #[test]
    fn entries_with_one_id_are_told_apart_by_their_links() {
        let rss = |items: &str| {
            read(&format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>")).entries
        };
        let item = |guid: &str, link: &str, title: &str| {
            format!("<item><title>{title}</title>{guid}<link>https://example.org/{link}</link></item>")
        };
        let both = |guid: &str| rss(&[item(guid, "a", "One"), item(guid, "b", "Two")].concat());
        let entries = both("<guid>1</guid>");
        assert!(entries.len() == 2 && entries[0].id != entries[1].id);
        assert_eq!(rss(&item("", "a", "One"))[0].id, rss(&item("", "a", "Two"))[0].id, "an edit of the title");
        let home = rss(&[item("", "", "One"), item("", "", "Two")].concat());
        assert_eq!(home.len(), 2, "each links to the home page");
        assert_eq!(Some(&home[0].id), home[0].former.as_ref());
    }

    #[test]
    fn a_link_of_an_entry_leads_to_it() {
        let entry = |inside: &str| {
            let root = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>t</title><entry><title>Late</title>";
            read(&format!("{root}{inside}</entry></feed>")).entries.remove(0)
        };
        assert_eq!(entry("<id>https://a.org/1</id><link rel='license' href='https://a.org/l'/>").link, None);
        let links = "<link rel='self' href='https://a.org/s'/><link href='https://a.org/1'/>";
        assert_eq!(entry(links).link.as_deref(), Some("https://a.org/1"));
        assert_eq!(entry(&format!("<link href='https://a.org/{}'/>", "x".repeat(2_000))).link, None);
        let author = entry(&format!("<author><name>{}</name></author>", "é".repeat(300))).author;
        assert_eq!(author.map(|name| name.chars().count()), Some(AUTHOR_MAX_CHARS));
        let rss = |guid: &str| {
            let item = format!("<item><title>Late</title>{guid}</item>");
            read(&format!("<rss version=\"2.0\"><channel><title>t</title>{item}</channel></rss>"))
                .entries
                .remove(0)
                .link
        };
        assert_eq!(rss("<guid>https://a.org/1?a&amp;b</guid>").as_deref(), Some("https://a.org/1?a&b"));
        assert_eq!(rss("<guid isPermaLink='false'>https://a.org/1?a&amp;b</guid>"), None);
    }

    #[test]
    fn of_an_endless_feed_the_newest_entries_are_kept() {
        let item = |at: usize| {
            let date = Timestamp::from_timestamp(1_500_000_000 + i64::try_from(at).unwrap(), 0).unwrap();
            format!("<item><title>{at}</title><guid>{at}</guid><pubDate>{}</pubDate></item>", date.to_rfc3339())
        };
        // The oldest first.
        let items: String = (0..ENTRIES_MAX + 2).map(item).collect();
        let document = read(&format!("<rss version=\"2.0\"><channel><title>t</title>{items}</channel></rss>"));
        assert_eq!(document.entries.len(), ENTRIES_MAX);
        assert!(document.entries.iter().all(|entry| !matches!(entry.title.as_deref(), Some("0" | "1"))));
        assert_eq!(document.notes, ["2 entries beyond the newest 5000 were left out"]);
    }

    #[test]
    fn what_is_no_feed_is_refused() {
        for body in ["", "hello", "<html><body>a page</body></html>", "{\"a\":1}", "<rss version=\"2.0\"><cha"] {
            assert!(try_read(body).is_err(), "{body}");
        }
    }
}
