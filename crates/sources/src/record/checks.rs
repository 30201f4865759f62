//! What every post must satisfy, whatever form it came in.

use domain::Timestamp;

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

/// Says what is wrong with the name of a platform.
pub(crate) fn platform(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 32 || !name.chars().all(fits) {
        return Err(format!("the platform {name:?} is not 1 to 32 lower-case letters, digits, '_', '-' or '.'"));
    }
    Ok(())
}
