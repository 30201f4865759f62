//! The text people read about an incident, in two short sentences: what happened and how much, then why and how people
//! feel. "Mentions of *late flight* are 6.2× the usual: 412 instead of 66 on Sunday evening (17:00–18:00 EST). Most of the
//! increase is about *snow*, *DFW* and *rebook*; 81% are negative (usually 45%)."

use crate::explain::Explanation;
use crate::incident::Kind;
use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use domain::{Dimension, Driver, Timestamp};

/// An author is named only from this share of the excess.
const AUTHOR_MIN: f64 = 0.25;
/// Names in the list of reasons, and new terms.
const NAMES_MAX: usize = 3;
const NEW_MAX: usize = 2;
/// Reasons that cover this share of the excess are most of it.
const MOST: f64 = 0.5;
/// A change of the negative share below this is not told.
const MOOD_CHANGE_MIN: f64 = 0.15;
/// An incident this long has no part of the day, hours.
const MOST_OF_A_DAY: i64 = 20;
/// Longest quotation of a post, characters.
const QUOTE_MAX: usize = 60;

/// Writes the text about `subject` (topic, or topic and category) from `begin` to `end` by the clock of `zone`.
pub fn sentence(
    subject: &str,
    kind: Kind,
    begin: Timestamp,
    end: Timestamp,
    zone: Tz,
    explanation: &Explanation,
) -> String {
    let subject = subject.replace('*', "");
    let (observed, expected) = (explanation.observed, explanation.expected);
    let counts = format!(
        "{} instead of {} on {} ({})",
        number(observed),
        if expected < 0.5 { "almost none".into() } else { number(expected) },
        part_of_day(begin, end, zone),
        span(begin, end, zone)
    );
    let first = match kind {
        Kind::Silence => return format!("No mentions of *{subject}*: {counts}. A source may have stopped."),
        Kind::Surge if expected < 0.5 => format!("Mentions of *{subject}* appear where none are usual: {counts}."),
        Kind::Surge => format!("Mentions of *{subject}* are {}× the usual: {counts}.", ratio(observed / expected)),
        Kind::Drop => {
            let percent = (100.0 * (1.0 - observed / expected.max(0.5))).clamp(0.0, 100.0);
            format!("Mentions of *{subject}* are {percent:.0}% below the usual: {counts}.")
        }
    };
    let second: Vec<String> = [
        reasons(&subject, kind, explanation),
        copies(explanation),
        new_terms(&subject, explanation),
        mood(explanation),
    ]
    .into_iter()
    .flatten()
    .collect();
    match second.is_empty() {
        true => first,
        false => format!("{first} {}.", capitalised(&second.join("; "))),
    }
}

/// What the excess is about; who wrote and where only if no subject matter explains it.
fn reasons(subject: &str, kind: Kind, explanation: &Explanation) -> Option<String> {
    let subject_matter = |d: &&Driver| {
        matches!(d.dimension, Dimension::Category | Dimension::Phrase | Dimension::Entity | Dimension::Hashtag)
    };
    let named = |d: &&Driver| match d.dimension {
        Dimension::Sentiment => false,
        Dimension::Author => d.contribution >= AUTHOR_MIN,
        _ => true,
    };
    let (matter, rest): (Vec<&Driver>, Vec<&Driver>) =
        explanation.drivers.iter().filter(named).partition(subject_matter);
    let relation = if matter.is_empty() { "comes from" } else { "is about" };
    let mut told: Vec<&Driver> = Vec::new();
    for driver in if matter.is_empty() { rest } else { matter } {
        let same = |other: &&Driver| overlap(&other.value, &driver.value);
        if told.len() < NAMES_MAX && !told.iter().any(same) && !driver.value.eq_ignore_ascii_case(subject) {
            told.push(driver);
        }
    }
    let covered: f64 = told.iter().map(|driver| driver.contribution).sum();
    let extent = if covered >= MOST { "most" } else { "part" };
    let change = if kind == Kind::Surge { "increase" } else { "decrease" };
    let names = list(told.iter().map(|driver| explanation.spelling(&driver.value)))?;
    Some(format!("{extent} of the {change} {relation} {names}"))
}

fn new_terms(subject: &str, explanation: &Explanation) -> Option<String> {
    let terms = explanation.new_terms.iter().map(|term| term.value.as_str());
    let names =
        list(terms.filter(|term| !overlap(term, subject)).take(NEW_MAX).map(|term| explanation.spelling(term)))?;
    Some(format!("mentioned for the first time: {names}"))
}

fn mood(explanation: &Explanation) -> Option<String> {
    let share = explanation.negative_share?;
    let before = explanation.negative_share_before.filter(|before| (share - before).abs() >= MOOD_CHANGE_MIN);
    let usually = before.map_or_else(String::new, |before| format!(" (usually {:.0}%)", before * 100.0));
    Some(format!("{:.0}% are negative{usually}", share * 100.0))
}

/// One message passed on is told apart from many complaints.
fn copies(explanation: &Explanation) -> Option<String> {
    let repeated = explanation.repeated.as_ref()?;
    let (copies, quote) = (number(repeated.mentions), quoted(&repeated.text));
    Some(match explanation.spread.is_viral() {
        true => format!("most mentions repeat one post, {quote} ({copies} copies)"),
        false => format!("{copies} mentions repeat one post, {quote}"),
    })
}

/// One of the names holds the other.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    one.contains(&other) || other.contains(&one)
}

/// `*a*, *b* and *c*`; none of no names.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = names.map(|name| format!("*{}*", name.replace('*', ""))).collect();
    let (last, before) = names.split_last()?;
    Some(if before.is_empty() { last.clone() } else { format!("{} and {last}", before.join(", ")) })
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The beginning of a stranger's words, on one line, in quotation marks.
fn quoted(text: &str) -> String {
    let words = text.replace(['*', '“', '”', '"'], "");
    let short: String = words.trim().chars().take(QUOTE_MAX).collect();
    let cut = if short.len() < words.trim().len() { "…" } else { "" };
    format!("“{}{cut}”", short.trim_end_matches(['.', ' ']))
}

/// `Sunday evening`, `Monday before dawn`; the day alone if it is most of a day.
fn part_of_day(begin: Timestamp, end: Timestamp, zone: Tz) -> String {
    let local = begin.with_timezone(&zone);
    let day = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        [local.weekday().num_days_from_monday() as usize];
    let part = match local.hour() {
        _ if (end - begin).num_hours() >= MOST_OF_A_DAY => return day.into(),
        // The night of a Friday begins in the evening.
        0..=4 => return format!("{day} before dawn"),
        5..=11 => "morning",
        12..=16 => "afternoon",
        17..=21 => "evening",
        _ => "night",
    };
    format!("{day} {part}")
}

/// `17:00–18:00 EST`; with the dates if it passes midnight. Midnight as the end is 24:00.
fn span(begin: Timestamp, end: Timestamp, zone: Tz) -> String {
    let (begin, end) = (begin.with_timezone(&zone), end.with_timezone(&zone));
    let last = end - chrono::TimeDelta::seconds(1);
    let date = if last.date_naive() == begin.date_naive() { "" } else { "%-d %b " };
    let until = if end.hour() == 0 && end.minute() == 0 { "24:00".into() } else { end.format("%H:%M").to_string() };
    let (begin, day) = (begin.format(&format!("{date}%H:%M")).to_string(), last.format(date));
    format!("{begin}–{day}{until} {}", end.format("%Z"))
}

/// `3,120`, `66`, `7.4`.
fn number(value: f64) -> String {
    if value < 10.0 {
        return one_decimal(value);
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn ratio(value: f64) -> String {
    if value >= 20.0 { number(value) } else { one_decimal(value) }
}

fn one_decimal(value: f64) -> String {
    format!("{value:.1}").trim_end_matches(".0").to_owned()
}
