//! From the posts of an incident and of the week before to its explanation. People are counted rather than posts: one
//! person is one voice, however often he says it, and so is one message, however many pass it on.

use crate::explain::{Counts, Explanation, Question, ValueCount, explain};
use chrono::TimeDelta;
use domain::{Dimension, Evidence, EvidencePost, IncidentScope};
use std::collections::{HashMap, HashSet};

/// An incident is compared with this long before it.
pub const BASELINE: TimeDelta = TimeDelta::days(7);
/// Values of one dimension that are looked at, those that moved most first.
const VALUES_MAX: usize = 200;

/// Why a series left its course. `expected`: what the detector expected over the incident.
pub fn explain_incident(scope: &IncidentScope, evidence: Evidence, expected: f64) -> Explanation {
    let Evidence { weight, posts, values, examples } = evidence;
    let length = (scope.range.to - scope.range.from).max(TimeDelta::seconds(1));
    let posts = numbered(scope, length, &posts);
    let [mut window, mut baseline] = totals(&posts);
    let expected = expected / weight;
    let scale = expected / baseline.mentions.max(1.0);
    for (dimension, values) in values {
        if scope.series.part.as_ref().is_none_or(|(limit, _)| *limit != dimension) {
            let said = values.into_iter().filter_map(|(post, value)| Some((value, *posts.get(post as usize)?)));
            let counted = count_values(dimension, said.collect(), scale);
            window.values.extend(counted.iter().map(|[now, _]| now.clone()));
            baseline.values.extend(counted.into_iter().map(|[_, before]| before));
        }
    }
    let baseline_windows = scope.baseline.num_seconds() as f64 / length.num_seconds() as f64;
    let question = Question { window, baseline, expected: Some(expected), baseline_windows, posts: examples };
    weighted(explain(&question), weight)
}

/// The explanation of a sample as one of all posts.
fn weighted(mut explanation: Explanation, weight: f64) -> Explanation {
    if weight > 1.0 {
        let whole = |number: &mut f64| *number = (*number * weight).round();
        whole(&mut explanation.observed);
        whole(&mut explanation.expected);
        for driver in explanation.drivers.iter_mut().chain(&mut explanation.new_terms) {
            whole(&mut driver.observed);
            driver.expected *= weight;
        }
        if let Some(repeated) = &mut explanation.repeated {
            whole(&mut repeated.mentions);
        }
    }
    explanation
}

/// A post as it is counted. Windows are as long as the incident, which is number 0; earlier ones are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    post: u32,
    window: i64,
    person: u32,
    message: u32,
    is_negative: bool,
}

fn numbered(scope: &IncidentScope, length: TimeDelta, posts: &[EvidencePost]) -> Vec<Said> {
    let (mut persons, mut messages) = (HashMap::new(), HashMap::new());
    let length_us = length.num_microseconds().unwrap_or(i64::MAX);
    let mut numbered = Vec::with_capacity(posts.len());
    for (post, one) in (0_u32..).zip(posts) {
        let age = one.occurred_at - scope.range.from;
        numbered.push(Said {
            post,
            window: age.num_microseconds().unwrap_or(i64::MIN).div_euclid(length_us).min(0),
            person: number(&mut persons, &one.author),
            message: number(&mut messages, &one.message),
            is_negative: one.is_negative,
        });
    }
    numbered
}

/// Numbers texts in order of appearance.
fn number<'a>(numbers: &mut HashMap<&'a str, u32>, text: &'a str) -> u32 {
    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    *numbers.entry(text).or_insert(next)
}

/// Totals of the incident and of its baseline.
fn totals(posts: &[Said]) -> [Counts; 2] {
    let mut posts = posts.to_vec();
    posts.sort_unstable_by_key(|said| said.window);
    let mut sides = [Counts::default(), Counts::default()];
    for window in posts.chunk_by(|a, b| a.window == b.window) {
        let side = &mut sides[side_of(window[0])];
        side.mentions += window.len() as f64;
        side.negative += window.iter().filter(|said| said.is_negative).count() as f64;
        side.voices += voices(window.iter());
    }
    sides
}

/// 0: of the incident, 1: of its baseline.
fn side_of(said: Said) -> usize {
    usize::from(said.window < 0)
}

/// The different persons or the different messages of a window, whichever are fewer.
fn voices<'a>(said: impl Iterator<Item = &'a Said> + Clone) -> f64 {
    let persons: HashSet<u32> = said.clone().map(|said| said.person).collect();
    let messages: HashSet<u32> = said.map(|said| said.message).collect();
    persons.len().min(messages.len()) as f64
}

/// Counts the values of one dimension, each in the incident and in its baseline: those that moved most, up or down.
fn count_values(dimension: Dimension, mut said: Vec<(String, Said)>, scale: f64) -> Vec<[ValueCount; 2]> {
    said.sort_unstable_by(|(a, one), (b, other)| a.cmp(b).then(one.window.cmp(&other.window)).then(one.cmp(other)));
    said.dedup();
    let mut found: Vec<[ValueCount; 2]> = Vec::new();
    for of_value in said.chunk_by(|(a, _), (b, _)| a == b) {
        let value = || of_value[0].0.clone();
        let none = || ValueCount { dimension, value: value(), count: 0.0, voices: 0.0 };
        let mut sides = [none(), none()];
        for window in of_value.chunk_by(|(_, a), (_, b)| a.window == b.window) {
            let side = &mut sides[side_of(window[0].1)];
            side.count += window.len() as f64;
            side.voices += voices(window.iter().map(|(_, said)| said));
        }
        found.push(sides);
    }
    let moved = |[now, before]: &[ValueCount; 2]| (now.count - before.count * scale).abs();
    found.sort_by(|a, b| moved(b).total_cmp(&moved(a)).then_with(|| a[0].value.cmp(&b[0].value)));
    found.truncate(VALUES_MAX);
    found
}
