//! The one sentence people read: "Mentions of *late flight* are 6.2× what is normal for a Sunday evening (412 against 66,
//! 17:00–18:00 EST): *snow*, *DFW*, *rebook* explain most of it; 81 % negative." Relies on the explanation for its numbers.

use crate::explain::Explanation;
use crate::incident::Kind;
use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use domain::{Driver, Timestamp};

/// Nobody is named who does not write so much of the excess alone.
const AUTHOR_MIN: f64 = 0.25;
/// Longest quotation of a post, characters.
const QUOTE_MAX: usize = 60;

/// Writes the sentence about `subject` (topic, or topic and category) from `begin` to `end` by the clock of `zone`.
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
    let counts = format!("{} against {}, {}", number(observed), number(expected), span(begin, end, zone));
    let part = part_of_day(begin, zone);
    let mut text = match kind {
        Kind::Silence => {
            return format!(
                "No mentions of *{subject}* where {} are normal for {part} ({}): its source may be silent.",
                number(expected),
                span(begin, end, zone)
            );
        }
        Kind::Surge if expected < 0.5 => {
            format!("Mentions of *{subject}* appear where none are normal for {part} ({counts})")
        }
        Kind::Surge => {
            format!("Mentions of *{subject}* are {}× what is normal for {part} ({counts})", ratio(observed / expected))
        }
        Kind::Drop => {
            let percent = (100.0 * (1.0 - observed / expected.max(0.5))).clamp(0.0, 100.0);
            format!("Mentions of *{subject}* are {percent:.0} % below what is normal for {part} ({counts})")
        }
    };
    text.push_str(&reasons(&subject, explanation));
    text.push('.');
    text
}

fn reasons(subject: &str, explanation: &Explanation) -> String {
    let mut names: Vec<&str> = Vec::new();
    // What people talk about says more than who they are and where; the strongest first in each.
    let subject_matter = |d: &&Driver| matches!(d.dimension.as_str(), "category" | "key_phrase" | "entity" | "hashtag");
    let named = |d: &&Driver| match d.dimension.as_str() {
        "sentiment" => false,
        "author" => d.contribution >= AUTHOR_MIN,
        _ => true,
    };
    let (matter, rest): (Vec<&Driver>, Vec<&Driver>) =
        explanation.drivers.iter().filter(named).partition(subject_matter);
    for driver in if matter.is_empty() { rest } else { matter } {
        let same = |name: &&str| {
            name.to_lowercase().contains(&driver.value.to_lowercase())
                || driver.value.to_lowercase().contains(&name.to_lowercase())
        };
        if names.len() < 3 && !names.iter().any(same) && !driver.value.eq_ignore_ascii_case(subject) {
            names.push(&driver.value);
        }
    }
    let named: Vec<String> = names.iter().map(|name| format!("*{}*", name.replace('*', ""))).collect();
    let verb = if named.len() == 1 { "explains" } else { "explain" };
    let covered =
        explanation.drivers.iter().filter(|d| names.contains(&d.value.as_str())).map(|d| d.contribution).sum::<f64>();
    let extent = if covered >= 0.5 { "most of it" } else { "part of it" };
    let mut text = if named.is_empty() { String::new() } else { format!(": {} {verb} {extent}", named.join(", ")) };
    let fresh: Vec<String> =
        explanation.new_terms.iter().take(2).map(|term| format!("*{}*", term.value.replace('*', ""))).collect();
    if !fresh.is_empty() {
        text.push_str(&format!("; new: {}", fresh.join(", ")));
    }
    if let Some(share) = explanation.negative_share {
        text.push_str(&format!("; {:.0} % negative", share * 100.0));
        if let Some(before) = explanation.negative_share_before.filter(|before| (share - before).abs() >= 0.15) {
            text.push_str(&format!(" (usually {:.0} %)", before * 100.0));
        }
    }
    text.push_str(&copies(explanation));
    text
}

/// One message passed on is told apart from many who complain: of all mentions, or of a part of them.
fn copies(explanation: &Explanation) -> String {
    let Some(repeated) = &explanation.repeated else { return String::new() };
    let (copies, quote) = (number(repeated.mentions), quoted(&repeated.text));
    match explanation.spread.is_viral() {
        true => format!("; most of them repeat one post, {quote} ({copies} copies)"),
        false => format!("; {copies} repeat one post, {quote}"),
    }
}

/// The beginning of a stranger's words, on one line, in quotation marks.
fn quoted(text: &str) -> String {
    let words = text.replace(['*', '“', '”', '"'], "");
    let short: String = words.trim().chars().take(QUOTE_MAX).collect();
    let cut = if short.len() < words.trim().len() { "…" } else { "" };
    format!("“{}{cut}”", short.trim_end_matches(['.', ' ']))
}

/// `a Sunday evening`.
fn part_of_day(at: Timestamp, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    let day = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        [local.weekday().num_days_from_monday() as usize];
    let part = match local.hour() {
        5..=11 => "morning",
        12..=16 => "afternoon",
        17..=21 => "evening",
        _ => "night",
    };
    format!("a {day} {part}")
}

/// `17:00–18:00 EST`; with the dates when it goes over midnight.
fn span(begin: Timestamp, end: Timestamp, zone: Tz) -> String {
    let (begin, end) = (begin.with_timezone(&zone), end.with_timezone(&zone));
    let over_midnight = (end - chrono::TimeDelta::seconds(1)).date_naive() != begin.date_naive();
    let format = if over_midnight { "%-d %b %H:%M" } else { "%H:%M" };
    format!("{}–{} {}", begin.format(format), end.format(format), end.format("%Z"))
}

fn number(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn ratio(value: f64) -> String {
    if value >= 20.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
