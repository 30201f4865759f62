//! Why a series left its course: which values of which dimensions make up the excess over their own baseline, what is
//! new, how the mood changed, whether it is one post passed on or many people, and the posts that say it best. Relies on
//! counts that the caller gathered over the incident and over comparable windows before it; works on plain data.

use crate::count;
use crate::examples::{PostInWindow, Spread, representative, spread};
use domain::{Driver, ExamplePost};
use std::collections::HashMap;

/// Counts over one window, or summed over several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    pub mentions: f64,
    pub negative: f64,
    pub values: Vec<ValueCount>,
}

/// How often one value of a dimension was mentioned.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueCount {
    /// `category`, `entity`, `key_phrase`, `hashtag`, `language`, `country`, `place`, `platform`, `author`, `sentiment`.
    pub dimension: String,
    pub value: String,
    pub count: f64,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Over the incident so far.
    pub window: Counts,
    /// Summed over the comparable windows before (same hours of earlier days or weeks).
    pub baseline: Counts,
    /// What the detector expected over the incident; none: the baseline's own mean.
    pub expected: Option<f64>,
    /// How many windows of the incident's length the baseline sums.
    pub baseline_windows: f64,
    /// Posts of the window, as many as are at hand.
    pub posts: Vec<PostInWindow>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// The strongest first; at most twelve, at most four of a dimension.
    pub drivers: Vec<Driver>,
    /// Up to three, no two of them alike.
    pub examples: Vec<ExamplePost>,
    pub observed: f64,
    pub expected: f64,
    /// Share of negative mentions, 0 to 1; none without a mention.
    pub negative_share: Option<f64>,
    pub negative_share_before: Option<f64>,
    /// Originals, reposts and the largest family of near-duplicates among `posts`.
    pub spread: Spread,
}

const DRIVERS_MAX: usize = 12;
const OF_A_DIMENSION_MAX: usize = 4;
/// A driver makes up at least this share of the excess,
const CONTRIBUTION_MIN: f64 = 0.04;
/// has grown so much more than the whole (else it only grew along),
const LIFT_MIN: f64 = 1.2;
/// and would come by chance once in a thousand, in nats.
const SURPRISE_MIN: f64 = 6.9;
/// Values vary from window to window by more than chance.
const PHI: f64 = 0.2;

/// Finds what makes up the excess (or, for a drop, the lack).
pub fn explain(question: &Question) -> Explanation {
    let windows = question.baseline_windows.max(1e-9);
    let usual = question.baseline.mentions / windows;
    let observed = question.window.mentions;
    let expected = question.expected.unwrap_or(usual).max(0.0);
    // The detector knows the hour and the level; the baseline lends only its proportions.
    let scale = if usual > 0.0 { expected / usual } else { 1.0 } / windows;
    let share = |counts: &Counts| (counts.mentions > 0.0).then(|| counts.negative / counts.mentions);
    Explanation {
        drivers: drivers(question, observed, expected, scale),
        examples: representative(&question.posts),
        observed,
        expected,
        negative_share: share(&question.window),
        negative_share_before: share(&question.baseline),
        spread: spread(&question.posts),
    }
}

fn drivers(question: &Question, observed: f64, expected: f64, scale: f64) -> Vec<Driver> {
    let excess = observed - expected;
    if excess.abs() < 1.0 {
        return Vec::new();
    }
    let key = |v: &ValueCount| (v.dimension.clone(), v.value.to_lowercase());
    let mut pairs: HashMap<(String, String), (String, f64, f64)> = HashMap::new();
    for value in &question.window.values {
        pairs.entry(key(value)).or_insert_with(|| (value.value.clone(), 0.0, 0.0)).1 += value.count;
    }
    for value in &question.baseline.values {
        pairs.entry(key(value)).or_insert_with(|| (value.value.clone(), 0.0, 0.0)).2 += value.count * scale;
    }
    let growth = observed.max(0.5) / expected.max(0.5);
    let mut found: Vec<(f64, Driver)> = pairs
        .into_iter()
        .filter_map(|((dimension, _), (value, now, before))| {
            let driver = Driver {
                dimension,
                value,
                observed: now,
                expected: before,
                contribution: ((now - before) / excess).clamp(0.0, 1.0),
                new: before == 0.0 && now > 0.0,
            };
            weight(&driver, growth, excess).map(|weight| (weight, driver))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.value.cmp(&b.1.value)));
    let mut of_dimension: HashMap<String, usize> = HashMap::new();
    let mut drivers: Vec<Driver> = found.into_iter().map(|(_, driver)| driver).collect();
    drivers.retain(|driver| {
        let seen = of_dimension.entry(driver.dimension.clone()).or_default();
        *seen += 1;
        *seen <= OF_A_DIMENSION_MAX
    });
    drivers.truncate(DRIVERS_MAX);
    drivers
}

/// How well a driver explains: its share of the excess, times how much more it changed than the whole. None: it does not.
fn weight(driver: &Driver, growth: f64, excess: f64) -> Option<f64> {
    let change = (driver.observed + 0.5) / (driver.expected + 0.5);
    let lift = if excess > 0.0 { change / growth } else { growth / change };
    let (up, down) = count::surprises(driver.observed, driver.expected.max(0.1), PHI);
    let surprise = if excess > 0.0 { up } else { down };
    let explains = driver.contribution >= CONTRIBUTION_MIN && lift >= LIFT_MIN && surprise >= SURPRISE_MIN;
    explains.then(|| driver.contribution * lift.ln().min(3.0))
}
