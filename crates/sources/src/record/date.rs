//! Dates in the forms that exports and interfaces use. Without a zone, UTC is meant.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use domain::Timestamp;

/// Forms tried after RFC 3339, the most frequent first; those with a zone, then those without.
const WITH_ZONE: [&str; 3] = ["%a %b %d %H:%M:%S %z %Y", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M:%S%.f%z"];
const WITHOUT_ZONE: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// A date with what was written of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) at: Timestamp,
    /// It is more than a day.
    pub(crate) has_clock: bool,
    /// It says by which clock.
    pub(crate) has_zone: bool,
}

/// Reads a date written as text.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    read(text).map(|read| read.at)
}

/// Reads a date written as text, and what it leaves open.
pub(crate) fn read(text: &str) -> Result<Read, String> {
    let text = text.trim();
    let whole = |at: Timestamp| Read { at, has_clock: true, has_zone: true };
    if let Some(at) = plain_utc(text.as_bytes()) {
        return Ok(whole(at));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| unreadable(text)).and_then(epoch).map(whole);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return text.parse().map_err(|_| unreadable(text)).and_then(epoch_fraction).map(whole);
    }
    let with_zone = || WITH_ZONE.iter().find_map(|form| DateTime::parse_from_str(text, form).ok());
    let zoned = DateTime::parse_from_rfc3339(text).ok().or_else(with_zone);
    if let Some(at) = zoned.or_else(|| DateTime::parse_from_rfc2822(text).ok()) {
        return Ok(whole(at.with_timezone(&Utc)));
    }
    let naive = text.trim_end_matches(" UTC").trim_end_matches('Z');
    let has_zone = naive.len() < text.len();
    let clock = WITHOUT_ZONE.iter().find_map(|form| NaiveDateTime::parse_from_str(naive, form).ok());
    let day = || NaiveDate::parse_from_str(naive, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    let at = clock.or_else(day).ok_or_else(|| unreadable(text))?;
    Ok(Read { at: at.and_utc(), has_clock: clock.is_some(), has_zone })
}

/// A day and the clock that stood apart from it.
pub(crate) fn with_clock(day: Read, clock: &str) -> Result<Read, String> {
    const CLOCKS: [&str; 5] = ["%H:%M:%S%.f", "%H:%M", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p"];
    let text = clock.trim();
    if let Some(time) = CLOCKS.iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok()) {
        return Ok(Read { at: day.at + (time - NaiveTime::MIN), has_clock: true, ..day });
    }
    // Some tables repeat the day: then that field says it all.
    match read(text) {
        Ok(whole) if whole.has_clock => Ok(whole),
        _ => Err(format!("the time {:?} beside the day can't be read: write it as 07:36", shown(text))),
    }
}

/// The offset from UTC that a text names: `+05:30`, `-0800`, `UTC`.
pub(crate) fn offset(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    if ["utc", "gmt", "z"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(TimeDelta::zero());
    }
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' | '−' => -1,
        _ => return None,
    };
    let digits: String = text.chars().skip(1).filter(|c| *c != ':').collect();
    let minutes: i64 = match (digits.len(), digits.parse::<i64>().ok()?) {
        (1 | 2, hours) => hours * 60,
        (4, both) => both / 100 * 60 + both % 100,
        _ => return None,
    };
    (minutes <= 14 * 60).then(|| TimeDelta::minutes(sign * minutes))
}

/// Reads seconds since 1970 with a fraction; milliseconds and microseconds are told apart as in [`epoch`].
pub(crate) fn epoch_fraction(number: f64) -> Result<Timestamp, String> {
    match number {
        0.0..1e11 => epoch_micros(number * 1e6),
        1e11..1e14 => epoch_micros(number * 1e3),
        1e14..1e17 => epoch_micros(number),
        _ => Err(format!("created_at {number} is no time")),
    }
}

fn epoch_micros(micros: f64) -> Result<Timestamp, String> {
    DateTime::from_timestamp_micros(micros as i64).ok_or_else(|| format!("created_at {micros} is no time"))
}

/// Reads seconds, milliseconds or microseconds since 1970, told apart by their size.
pub(crate) fn epoch(number: i64) -> Result<Timestamp, String> {
    let at = match number {
        0..100_000_000_000 => DateTime::from_timestamp(number, 0),
        100_000_000_000..100_000_000_000_000 => DateTime::from_timestamp_millis(number),
        100_000_000_000_000.. => DateTime::from_timestamp_micros(number),
        _ => None,
    };
    at.ok_or_else(|| format!("created_at {number} is no time"))
}

fn unreadable(text: &str) -> String {
    format!("created_at {:?} is not a date that can be read: write it as 2026-11-23T07:36:05Z", shown(text))
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `2015-02-17T07:36:05[.123]Z`, the form of X and of most exports, without the general parser: four times faster.
fn plain_utc(text: &[u8]) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if shape.iter().any(|(at, byte)| seconds[*at] != *byte) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| digits(&seconds[range]);
    let nanos = match rest {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            digits(fraction)? * 10_u32.pow(9 - u32::try_from(fraction.len()).ok()?)
        }
        _ => return None,
    };
    let day = NaiveDate::from_ymd_opt(i32::try_from(number(0..4)?).ok()?, number(5..7)?, number(8..10)?)?;
    Some(day.and_hms_nano_opt(number(11..13)?, number(14..16)?, number(17..19)?, nanos)?.and_utc())
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.checked_mul(10)?.checked_add(u32::from(byte - b'0')))?
    })
}

/// When X gave out an id: ids since 2010 carry their time.
pub(crate) fn of_snowflake(id: &str) -> Option<Timestamp> {
    const EPOCH_MS: i64 = 1_288_834_974_657;
    let id: u64 = id.parse().ok().filter(|id| *id > 1 << 35)?;
    DateTime::from_timestamp_millis(i64::try_from(id >> 22).ok()? + EPOCH_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        let expected = "2015-02-17T07:36:05+00:00";
        for text in [
            "2015-02-17T07:36:05.000Z",
            "2015-02-17T07:36:05Z",
            "2015-02-17 07:36:05",
            "2015-02-17T08:36:05+01:00",
            "2015-02-17 02:36:05 -0500",
            "Tue Feb 17 07:36:05 +0000 2015",
            "Tue, 17 Feb 2015 07:36:05 GMT",
            "1424158565",
            "1424158565000",
            "1424158565000000",
            "1424158565.0",
            " 2015-02-17 07:36:05 UTC ",
        ] {
            assert_eq!(parse(text).map(|at| at.to_rfc3339()).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(parse("2015-02-17").unwrap().to_rfc3339(), "2015-02-17T00:00:00+00:00");
        assert_eq!(parse("2015-02-17T07:36:05.123456Z").unwrap().timestamp_subsec_micros(), 123_456);
    }

    #[test]
    fn other_forms_are_refused_with_the_form_wanted() {
        for text in ["", "yesterday", "17/02/2015", "2015-13-01", "2015-02-30T00:00:00Z", "99999999999999999999"] {
            assert!(parse(text).unwrap_err().contains("created_at"), "{text}");
        }
    }

    #[test]
    fn a_day_and_a_clock_apart_are_one_moment() {
        let day = read("2026-03-02").unwrap();
        for clock in ["21:05:00", "21:05", "9:05 PM", "2026-03-02 21:05"] {
            assert_eq!(with_clock(day, clock).unwrap().at.to_rfc3339(), "2026-03-02T21:05:00+00:00", "{clock}");
        }
        assert!(with_clock(day, "evening").unwrap_err().contains("07:36"));
        for (text, minutes) in [("+0530", 330), ("-08:00", -480), ("UTC+1", 60), ("GMT", 0)] {
            assert_eq!(offset(text).map(|offset| offset.num_minutes()), Some(minutes), "{text}");
        }
        assert_eq!(offset("IST"), None);
    }

    #[test]
    fn an_id_of_x_tells_its_time() {
        assert_eq!(of_snowflake("567588278875213824").unwrap().format("%F %T").to_string(), "2015-02-17 07:36:05");
        assert_eq!(of_snowflake("20"), None);
    }
}
