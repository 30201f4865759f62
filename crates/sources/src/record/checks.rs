//! What every post must satisfy, whatever form it came in.

use domain::Timestamp;
use url::Url;

/// Longest text accepted: far above the longest post of any platform.
pub const TEXT_MAX_BYTES: usize = 64 << 10;
/// Unix time of 1990-01-01: no network that we listen to is older; earlier dates are zeros and slips of the pen.
const EARLIEST_S: i64 = 631_152_000;
/// How far a post's date may lie ahead of our clock: a day, for clocks set to local time.
const AHEAD_MAX_S: i64 = 86_400;

/// Says what is wrong with a text.
pub(crate) fn text(text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(format!("the text has {} bytes; at most {TEXT_MAX_BYTES} are accepted", text.len()));
    }
    if text.as_bytes().contains(&0) {
        return Err("the text holds a NUL character".into());
    }
    if text.trim().is_empty() {
        return Err("the text is empty".into());
    }
    Ok(())
}

/// Says what is wrong with the time at which a post was written.
pub(crate) fn occurred_at(at: Timestamp, received_at: Timestamp) -> Result<Timestamp, String> {
    if at.timestamp() < EARLIEST_S {
        return Err(format!("created_at is {}: before 1990, so it can't be right", at.format("%Y-%m-%d")));
    }
    if at.timestamp() > received_at.timestamp() + AHEAD_MAX_S {
        return Err(format!("created_at is {}: more than a day in the future", at.format("%Y-%m-%d %H:%M")));
    }
    Ok(at)
}

/// The time at which a post was written, for platforms whose dates can't be trusted: one that is missing or impossible is
/// that of the first reading.
pub(crate) fn bounded(at: Option<Timestamp>, first_read: Timestamp) -> Timestamp {
    at.filter(|at| at.timestamp() >= EARLIEST_S).map_or(first_read, |at| at.min(first_read))
}

/// Says what is wrong with the name of a platform.
pub fn platform(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        return Err(format!("the platform {name:?} is not 1 to 32 lower-case letters, digits, '_', '-' or '.'"));
    }
    Ok(())
}

/// Whether a link may be kept: an absolute address of the web. Others, such as `javascript:`, are no places to read a post.
pub(crate) fn is_link(link: &str) -> bool {
    Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Whether an id is a number that a spreadsheet or a script rounded: `1.89305E+18`, `1893050000000000000.0`. Ids with
/// the same digits left would be taken for the same post.
pub(crate) fn has_lost_digits(id: &str) -> bool {
    let number = id.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'e' | b'E' | b'+'));
    let marked = id.contains(['.', ',']) && id.ends_with(".0") || id.contains("E+") || id.contains("e+");
    number && marked && id.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{has_lost_digits, is_link};

    #[test]
    fn only_links_of_the_web_are_kept() {
        assert!(is_link("https://a.example/1?b=c") && is_link("HTTP://a.example"));
        for link in
            ["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "//a.example", "a.example/1", ""]
        {
            assert!(!is_link(link), "{link}");
        }
    }

    #[test]
    fn ids_that_lost_digits_are_known() {
        for id in ["1.89305E+18", "1,89305E+18", "1.8e+18", "2E+18", "1893050000000000000.0"] {
            assert!(has_lost_digits(id), "{id}");
        }
        for id in ["1893050000000000001", "k1a2b", "1.2.3", "e+e", "at://did:plc:a/post/1", "12E7", "3.14"] {
            assert!(!has_lost_digits(id), "{id}");
        }
    }
}
