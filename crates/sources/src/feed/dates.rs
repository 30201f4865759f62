//! Dates of feeds: those that the library reads, those of imports, and forms that only feeds have.

use crate::record::date;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use domain::Timestamp;

/// Zones that have one meaning.
const ZONES: [(&str, &str); 14] = [
    ("CET", "+0100"),
    ("CEST", "+0200"),
    ("MEZ", "+0100"),
    ("MESZ", "+0200"),
    ("WET", "+0000"),
    ("WEST", "+0100"),
    ("EET", "+0200"),
    ("EEST", "+0300"),
    ("MSK", "+0300"),
    ("JST", "+0900"),
    ("EST", "-0500"),
    ("EDT", "-0400"),
    ("PST", "-0800"),
    ("PDT", "-0700"),
];
/// Longest text that can be a date.
const LENGTH_MAX: usize = 64;

/// Reads a date. Without a zone, UTC is meant.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > LENGTH_MAX {
        return None;
    }
    let zoned = || {
        let (clock, zone) = text.rsplit_once(' ')?;
        let (_, offset) = ZONES.iter().find(|(name, _)| *name == zone)?;
        usual(&format!("{} {offset}", clock.trim_end()))
    };
    compact(text).or_else(|| usual(text)).or_else(zoned).or_else(|| ctime(text))
}

fn usual(text: &str) -> Option<Timestamp> {
    library(text).or_else(|| date::parse(text).ok())
}

/// The library does not offer its reader of dates by itself.
fn library(text: &str) -> Option<Timestamp> {
    if text.contains(['<', '&']) {
        return None;
    }
    let feed = format!("<rss version=\"2.0\"><channel><pubDate>{text}</pubDate></channel></rss>");
    feed_rs::parser::parse(feed.as_bytes()).ok()?.published
}

/// `20261127T100000Z`, `20261127100000`, `20261127`.
fn compact(text: &str) -> Option<Timestamp> {
    if !text.get(..8)?.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Ok(at) = DateTime::parse_from_str(text, "%Y%m%dT%H%M%S%z") {
        return Some(at.to_utc());
    }
    let naive = text.trim_end_matches('Z');
    let clock = ["%Y%m%dT%H%M%S", "%Y%m%dT%H%M", "%Y%m%d%H%M%S"];
    let clock = clock.iter().find_map(|form| NaiveDateTime::parse_from_str(naive, form).ok());
    let day = || NaiveDate::parse_from_str(naive, "%Y%m%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    clock.or_else(day).map(|at| at.and_utc())
}

/// `Fri Nov 27 10:00:00 2026`; the day of the week can be wrong.
fn ctime(text: &str) -> Option<Timestamp> {
    let (_, text) = text.split_once(' ')?;
    NaiveDateTime::parse_from_str(text.trim_start(), "%b %d %H:%M:%S %Y").ok().map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_forms_of_feeds_are_read() {
        for text in [
            "Fri, 27 Nov 2026 10:00:00 GMT",
            "2026-11-27T10:00:00Z",
            "2026-11-27 10:00:00",
            "2026-11-27T10:00Z",
            "2026-11-27 11:00:00 CET",
            "Fri, 27 Nov 2026 12:00:00 CEST",
            "2026-11-27 05:00:00 EST",
            "Fri Nov 27 10:00:00 2026",
            "20261127T100000Z",
            "20261127T110000+0100",
            "20261127100000",
            "1795773600",
        ] {
            let read = parse(text).map(|at| at.to_rfc3339());
            assert_eq!(read.as_deref(), Some("2026-11-27T10:00:00+00:00"), "{text}");
        }
        assert_eq!(parse("20261127").map(|at| at.to_rfc3339()).as_deref(), Some("2026-11-27T00:00:00+00:00"));
        for text in ["", "soon", "27. 11. 2026", "<a>", "é2345678", "Fri é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
