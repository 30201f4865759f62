//! Numbers of cards and phones in a text.

use super::Redact;
use std::collections::VecDeque;

/// Groups of digits that are looked at together.
const GROUPS_MAX: usize = 12;
/// How far back a word counts that says what a number is, in bytes.
const CUE_BYTES: usize = 24;
/// Words before a number that is not a phone's.
const NOT_A_PHONE: [&str; 20] = [
    "order", "bestell", "invoice", "rechnung", "ticket", "case", "ref", "tracking", "sendung", "parcel", "customer",
    "kunden", "account", "konto", "article", "artikel", "isbn", "#", "id", "commande",
];
/// Words before a number that is a phone's.
const A_PHONE: [&str; 12] =
    ["tel", "telef", "teleph", "phone", "call", "mobile", "handy", "cell", "whatsapp", "fax", "☎", "📞"];

/// Digits without anything between.
#[derive(Clone, Copy)]
struct Group<'t> {
    begin: usize,
    digits: &'t str,
    /// What stands before it, after the group before.
    gap: &'t str,
}

/// The text without the numbers; `None`: there are none.
pub(super) fn without(text: &str, cards: bool, phones: bool) -> Option<String> {
    let mut redacted = String::new();
    let mut kept = 0;
    let mut rest = groups(text);
    while !rest.is_empty() {
        match found(text, &rest, cards, phones) {
            Some((begin, count, mark)) => {
                let last = rest[count - 1];
                redacted.push_str(&text[kept..begin]);
                redacted.push_str(mark.mark());
                kept = last.begin + last.digits.len();
                rest.drain(..count);
            }
            None => drop(rest.pop_front()),
        }
    }
    (kept > 0).then(|| redacted + &text[kept..])
}

fn groups(text: &str) -> VecDeque<Group<'_>> {
    let mut groups = VecDeque::new();
    let mut end = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        groups.push_back(Group { begin: at, digits: &text[at..at + length], gap: &text[end..at] });
        at += length;
        end = at;
    }
    groups
}

/// A number that begins with the first group: where it begins, how many groups it has, and what it is.
fn found(text: &str, groups: &VecDeque<Group<'_>>, cards: bool, phones: bool) -> Option<(usize, usize, Redact)> {
    let first = groups[0];
    let before = &text[..first.begin];
    // A part of a word or of a longer number is no number of its own.
    if before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let joined = groups.iter().skip(1).take_while(|group| is_gap(group.gap)).count() + 1;
    (1..=joined.min(GROUPS_MAX)).rev().find_map(|count| {
        let taken: Vec<Group<'_>> = groups.iter().take(count).copied().collect();
        let end = taken[count - 1].begin + taken[count - 1].digits.len();
        let goes_on = text[end..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            || groups.get(count).is_some_and(|next| next.gap == "." || next.gap == "," || next.gap == "-");
        if goes_on {
            return None;
        }
        if cards && is_card(&taken) {
            return Some((first.begin, count, Redact::Card));
        }
        let begin = phones.then(|| phone(before, &taken)).flatten()?;
        Some((begin, count, Redact::Phone))
    })
}

/// What may stand between the groups of one number.
fn is_gap(gap: &str) -> bool {
    matches!(gap, " " | "-" | "." | "/" | ") " | ")" | " (" | "(" | " - " | " / " | "\u{a0}" | ")-" | "–" | " (0) ")
}

fn is_card(groups: &[Group<'_>]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let even = groups.windows(2).all(|pair| matches!(pair[1].gap, " " | "-") && pair[1].gap == groups[1].gap);
    let shaped = matches!(lengths[..], [_] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4] | [4, 4, 4, 4, 3]);
    let digits: String = groups.iter().map(|group| group.digits).collect();
    even && shaped && has_issuer(&digits) && luhn(&digits)
}

/// Whether the digits lie in the range of an issuer, with as many as it gives.
fn has_issuer(digits: &str) -> bool {
    let length = digits.len();
    let lead = |count: usize| digits.get(..count).and_then(|lead| lead.parse::<u32>().ok()).unwrap_or_default();
    match lead(2) {
        40..=49 => matches!(length, 13 | 16 | 19),
        34 | 37 => length == 15,
        51..=55 | 35 => length == 16,
        22..=27 => length == 16 && (2_221..=2_720).contains(&lead(4)),
        30 | 36 | 38 | 39 => length == 14,
        60 => length >= 16 && lead(4) == 6_011,
        62 | 65 => (16..=19).contains(&length),
        64 => length == 16 && lead(3) >= 644,
        _ => false,
    }
}

fn luhn(digits: &str) -> bool {
    let doubled = |(place, byte): (usize, u8)| {
        let digit = u32::from(byte - b'0');
        let digit = if place % 2 == 1 { digit * 2 } else { digit };
        digit / 10 + digit % 10
    };
    digits.bytes().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Where the number of a phone begins, if the groups are one.
fn phone(before: &str, groups: &[Group<'_>]) -> Option<usize> {
    let begin = before.len();
    let lengths: Vec<usize> = groups.iter().map(|group| group.digits.len()).collect();
    let count: usize = lengths.iter().sum();
    let opened = before.ends_with('(');
    let plain = before.strip_suffix('(').unwrap_or(before);
    if let Some(before_sign) = plain.strip_suffix('+') {
        let is_sum = before_sign.ends_with(|letter: char| letter.is_alphanumeric());
        return (!is_sum && (8..=15).contains(&count) && lengths[0] <= 12).then_some(before_sign.len());
    }
    let cue = cue(plain);
    let says = |words: &[&str]| words.iter().any(|word| is_said(&cue, word));
    if says(&NOT_A_PHONE) {
        return None;
    }
    let begin = begin - usize::from(opened);
    let gaps: Vec<&str> = groups[1..].iter().map(|group| group.gap.trim()).collect();
    let dashed = gaps.iter().all(|gap| *gap == "-" || *gap == ")" || *gap == "." || gap.is_empty() || *gap == ")-");
    let first = groups[0].digits;
    let is_written_as_one = match lengths[..] {
        // 555-123-4567, (555) 123-4567
        [3, 3, 4] => dashed && !first.starts_with(['0', '1']),
        // 1-800-123-4567
        [1, 3, 3, 4] => dashed && first == "1",
        // 0171 1234567, 030/12345678
        [3..=5, 5..=8] => first.starts_with('0') && (10..=12).contains(&count),
        // 020 7946 0958
        [3..=5, 3..=4, 3..=4] => first.starts_with('0') && (10..=12).contains(&count),
        // 01 42 68 53 00
        [2, 2, 2, 2, 2] => first.starts_with('0') && gaps.iter().all(|gap| gap.is_empty() || *gap == "."),
        // 0049 30 123456
        _ if first.starts_with("00") => (11..=15).contains(&count),
        _ => false,
    };
    let told = says(&A_PHONE) && (7..=15).contains(&count) && !is_date(&lengths, first);
    (is_written_as_one || told).then_some(begin)
}

/// The words before a number, in small letters.
fn cue(before: &str) -> String {
    let from = before.len().saturating_sub(CUE_BYTES);
    let near = &before[before.ceil_char_boundary(from)..];
    near.rsplit(['\n', ';']).next().unwrap_or_default().to_lowercase()
}

/// Whether a word of the cue begins so; a short one must be whole, and a sign may stand anywhere.
fn is_said(cue: &str, wanted: &str) -> bool {
    let mut words = cue.split(|letter: char| !letter.is_alphanumeric());
    match wanted.chars().all(char::is_alphanumeric) {
        false => cue.contains(wanted),
        true if wanted.len() <= 3 => words.any(|word| word == wanted),
        true => words.any(|word| word.starts_with(wanted)),
    }
}

/// 2026-11-28, 28.11.2026, with or without a time.
fn is_date(lengths: &[usize], first: &str) -> bool {
    matches!(lengths, [4, 2, 2, ..] | [1..=2, 1..=2, 4, ..]) || lengths == [8] && first.starts_with("20")
}
