//! One series, one value at a time: `push` returns what was expected, how surprising the value is, and whether an incident
//! begins, continues or ends. The state has a constant size (about 2 kB). Each value is judged before it is learned.
//!
//! The mean is level times season (`season`); the variance is learned (`spread`). Five one-sided tests share one
//! false-alarm budget: the interval and a fading sum over six hours, each upwards and downwards, and the sum of two
//! consecutive intervals upwards. `tail` turns their surprise into probabilities that fit the history of the series.

use crate::config::Config;
use crate::incident::{Change, Incident, Kind, severity};
use crate::prediction::Prediction;
use crate::season::{Factor, Priors, Season};
use crate::spread::{Residual, Spread};
use crate::tail::{Learning, Tail};
use domain::Timestamp;

/// Time constant of the level, days and at least so many intervals.
const LEVEL_DAYS: f64 = 7.0;
const LEVEL_POINTS: f64 = 30.0;
/// Share of the doubt about level and season that is real: hours close together and shrunk to their parents err less
/// than apart.
const DOUBT: f64 = 0.8;
/// Share of that doubt which is not counted as spread. All of it would be exact were the doubt exact; a little less makes
/// the first weeks, when it is not, careful: a third of the false alarms of the first month remain.
const DOUBT_APART: f64 = 0.5;
/// Points over which the window's autocorrelation is remembered.
const INFLATION_POINTS: f64 = 5000.0;
/// Values are learned clipped to so many standard deviations: a storm teaches little.
const CLIP: f64 = 3.0;
/// The spread itself needs the tail that the level can do without.
const SPREAD_CLIP: f64 = 4.0;
/// Time constant of the fading sum, seconds and at least so many intervals.
const SUSTAINED_S: f64 = 6.0 * 3600.0;
const SUSTAINED_POINTS: f64 = 3.0;
/// The evidence's tails lean on the model for the first months. The rank's follows the series within a day and begins as
/// heavy as the tails of real series are, so that the bursts of the first days are not taken for the largest ever.
const LEARNING: Learning = Learning { prior_points: 500.0, prior_scale: 1.0, keep: 1.0 - 1.0 / 20_000.0, cap: 4.0 };
const RANK_LEARNING: Learning = Learning { prior_points: 50.0, prior_scale: 3.0, keep: 1.0 - 1.0 / 10_000.0, cap: 5.0 };
const PRIORS: Priors = Priors { day: 4.0, week: 40.0, keep_day: 0.97, keep_week: 0.9 };
/// Shares of the budget: interval up, interval down, sustained up, sustained down, two intervals in a row up. They add up
/// to more than 1 because the tests overlap, an incident is told once however many intervals it has, and counts are whole
/// numbers: on simulated series the five raise about 0.6 of the alarms that these shares would allow them.
const SHARES: [f64; TESTS] = [0.57, 0.17, 0.17, 0.17, 0.57];
const TESTS: usize = 5;
/// A spike within a raised stretch counts for more than a lone one, by this much of the stretch's own evidence.
const CORROBORATION: f64 = 0.5;
/// Scales the rank so that 0.5 is about as rare as for the evidence, despite that bonus.
const RANK_SCALE: f64 = 0.8;
/// After an incident a new one must be so much more surprising than what is left of the last one's memory,
const RISE: f64 = 1.3;
/// and rank so much higher.
const RANK_RISE: f64 = 1.2;
/// Time constant of that memory, seconds.
const MEMORY_S: f64 = 86_400.0;
/// Smallest level that is told from nothing, mentions an interval.
const LEVEL_MIN: f64 = 0.01;

/// What the detector thinks of one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub expected: f64,
    /// Interval that holds 99.7 % of ordinary values.
    pub lower: f64,
    pub upper: f64,
    /// How surprising the value is, 0 to 1, whatever the size of the series: 0.5 is once in ten thousand intervals,
    /// 0.6 once in a million.
    pub score: f64,
    /// The score of a new incident beginning here: 0 while the value adds nothing to an incident already known.
    pub onset_score: f64,
    /// What became of the incident of the series, if anything.
    pub change: Option<Change>,
    /// An incident is going on.
    pub in_incident: bool,
    /// Too little was seen for an opinion: no anomaly is raised.
    pub warming_up: bool,
    /// Late, repeated or not a count: nothing was learned.
    pub ignored: bool,
}

/// Sums of what came and of what was expected: over the sustained window (fading), or of one interval.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    observed: f64,
    expected: f64,
    variance: f64,
}

/// Watches one series.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use detect::{Config, Detector};
///
/// let hour = |n: i32| DateTime::UNIX_EPOCH + TimeDelta::hours(n.into());
/// let mut detector = Detector::new(Config::every(3_600));
/// for n in 0..28 * 24 {
///     detector.push(hour(n), 40.0 + f64::from(n % 7));
/// }
/// let point = detector.push(hour(28 * 24), 400.0);
/// assert!(point.in_incident && point.expected < 60.0);
/// ```
#[derive(Debug, Clone)]
pub struct Detector {
    config: Config,
    season: Season,
    utc_offset_s: i32,
    /// Unix seconds of the last interval learned.
    last: Option<i64>,
    seen: u32,
    /// Level as a ratio of information: observed over seasonal exposure.
    level_observed: f64,
    level_exposure: f64,
    spread: Spread,
    window: Window,
    /// How much more the window varies than its parts would (autocorrelation), as a ratio.
    inflation: f64,
    inflation_weight: f64,
    tails: [Tail; TESTS],
    /// The tail of the ranking surprise, see `rank`.
    rank_tail: Tail,
    /// What is left of the last incidents' evidence and of the last rank, in nats.
    memory: f64,
    rank_memory: f64,
    /// The interval before.
    before: Window,
    incident: Option<Incident>,
    incident_calm: u32,
}

/// How far a score is from certainty, mapped to 0..1 without ever running full.
pub fn score_of_nats(nats: f64) -> f64 {
    let decades = nats.max(0.0) / std::f64::consts::LN_10;
    decades / (decades + 4.0)
}

fn keep(points: f64) -> f64 {
    (-1.0 / points).exp()
}

impl Detector {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            season: Season::new(),
            utc_offset_s: 0,
            last: None,
            seen: 0,
            level_observed: 0.0,
            level_exposure: 0.0,
            spread: Spread::new(),
            window: Window::default(),
            inflation: 10.0,
            inflation_weight: 10.0,
            tails: [Tail::new(&LEARNING); TESTS],
            rank_tail: Tail::new(&RANK_LEARNING),
            memory: 0.0,
            rank_memory: 0.0,
            before: Window::default(),
            incident: None,
            incident_calm: 0,
        }
    }

    /// Seconds east of UTC of the clock that the posts' authors live by; set again when it changes with summer time.
    pub fn set_utc_offset(&mut self, seconds: i32) {
        self.utc_offset_s = seconds;
    }

    /// The budget's share changes with the number of series watched.
    pub fn set_series(&mut self, series: u32) {
        self.config.series = series;
    }

    /// How many series share the budget.
    pub fn series(&self) -> u32 {
        self.config.series
    }

    /// Memory of one detector, bytes, heap included.
    pub const fn memory_bytes() -> usize {
        size_of::<Self>() + Season::HEAP_BYTES
    }

    /// The incident that is going on.
    pub fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }

    /// Judges and learns the count of the interval that begins at `at`. Missing intervals are bridged without opinion;
    /// values that are late, repeated, negative or not finite are ignored.
    pub fn push(&mut self, at: Timestamp, value: f64) -> Point {
        let seconds = at.timestamp();
        let interval = i64::from(self.config.interval_s.max(1));
        let steps = self.last.map_or(1, |last| (seconds - last + interval / 2).div_euclid(interval));
        let local = seconds + interval / 2 + i64::from(self.utc_offset_s);
        let season = self.season.factor(local, &PRIORS);
        let prediction = self.predict(season, value);
        if steps < 1 || !value.is_finite() || value < 0.0 {
            return self.point(&prediction, 0.0, 0.0, None, true);
        }
        self.bridge(steps - 1);
        self.spread.see(value);
        let clipped = prediction.clip(value, CLIP);
        let surprises = self.surprises(value, clipped, &prediction);
        let evidence = self.evidence(&surprises);
        let rank = self.rank(value, &prediction, &evidence);
        let onset = if rank > self.rank_memory * RANK_RISE { rank } else { 0.0 };
        let calm = self.incident.is_none();
        let change = self.follow(at, value, &prediction, &evidence);
        let fade = keep(MEMORY_S / interval as f64);
        // A near miss must not raise the bar for what comes next: only incidents are remembered.
        let told = if self.incident.is_some() { evidence.nats } else { 0.0 };
        self.memory = (self.memory * fade).max(told);
        self.rank_memory = (self.rank_memory * fade).max(rank);
        // An incident teaches the tails once, by its opening interval: they count incidents, not intervals.
        if calm && self.seen >= self.config.warm_up_intervals {
            for (tail, surprise) in self.tails.iter_mut().zip(&surprises) {
                tail.learn(*surprise, &LEARNING);
            }
        }
        // What is normal is not learned from what is not; a new level is adopted when it has lasted.
        if self.incident.is_none() {
            self.learn(local, value, clipped, &prediction);
        }
        self.last = Some(seconds);
        self.seen = self.seen.saturating_add(1);
        self.point(&prediction, evidence.nats, onset, change, false)
    }

    fn predict(&self, season: Factor, value: f64) -> Prediction {
        let level = if self.level_exposure > 0.0 {
            (self.level_observed / self.level_exposure).max(LEVEL_MIN)
        } else if value.is_finite() {
            value.max(0.5)
        } else {
            0.5
        };
        let mean = level * season.value;
        let phi = self.spread.phi(season.value);
        let unit = self.spread.unit(mean);
        let doubt = DOUBT * (1.0 / (self.level_exposure * level).max(0.5) + season.variance);
        Prediction { level, mean, unit, phi, doubt, season: season.value }
    }

    /// Forgets what intervals without data let fade.
    fn bridge(&mut self, missing: i64) {
        if missing <= 0 {
            return;
        }
        let missing = missing.min(100_000) as f64;
        let fade = self.keep_window().powf(missing);
        self.window.observed *= fade;
        self.window.expected *= fade;
        self.window.variance *= fade * fade;
        self.before = Window::default();
        let interval = f64::from(self.config.interval_s.max(1));
        let fade = keep(MEMORY_S / interval).powf(missing);
        self.memory *= fade;
        self.rank_memory *= fade;
        let fade = self.keep_level().powf(missing).max(0.05);
        self.level_observed *= fade;
        self.level_exposure *= fade;
    }

    fn keep_window(&self) -> f64 {
        keep((SUSTAINED_S / f64::from(self.config.interval_s.max(1))).max(SUSTAINED_POINTS))
    }

    fn keep_level(&self) -> f64 {
        keep((LEVEL_DAYS * 86_400.0 / f64::from(self.config.interval_s.max(1))).max(LEVEL_POINTS))
    }

    /// Surprise in nats, as the model sees it: interval up, down, window up, down.
    fn surprises(&mut self, value: f64, clipped: f64, prediction: &Prediction) -> [f64; TESTS] {
        let (up, down) = prediction.surprises(value, prediction.mean, prediction.phi + prediction.doubt);
        let keep = self.keep_window();
        let mean = prediction.mean;
        self.window.observed = self.window.observed * keep + clipped;
        self.window.expected = self.window.expected * keep + mean;
        self.window.variance = self.window.variance * keep * keep + prediction.variance(prediction.phi);
        let spread = self.window_variance(prediction) * (self.inflation / self.inflation_weight).max(1.0);
        let expected = self.window.expected;
        let (window_up, window_down) =
            prediction.surprises(self.window.observed, expected, prediction.phi_of(spread, expected));
        [up, down, window_up, window_down, self.pair_surprise(value, prediction)]
    }

    /// Surprise of this interval and the one before together: what a step upwards shows best in its second interval.
    fn pair_surprise(&mut self, value: f64, prediction: &Prediction) -> f64 {
        let mean = prediction.mean;
        let now = Window {
            observed: value,
            expected: mean,
            variance: prediction.variance(prediction.phi + prediction.doubt),
        };
        let before = std::mem::replace(&mut self.before, now);
        let expected = mean + before.expected;
        let phi = prediction.phi_of(now.variance + before.variance, expected);
        prediction.surprises(value + before.observed, expected, phi).0
    }

    fn window_variance(&self, prediction: &Prediction) -> f64 {
        self.window.variance + self.window.expected * self.window.expected * prediction.doubt
    }

    fn evidence(&self, surprises: &[f64; TESTS]) -> Evidence {
        let mut calibrated = [0.0; TESTS];
        for (calibrated, (tail, surprise)) in calibrated.iter_mut().zip(self.tails.iter().zip(surprises)) {
            *calibrated = tail.calibrated(*surprise);
        }
        let (mut nats, mut strongest) = (0.0, 0);
        for (test, (calibrated, share)) in calibrated.iter().zip(SHARES).enumerate() {
            let charged = calibrated + share.ln();
            if charged > nats {
                (nats, strongest) = (charged, test);
            }
        }
        Evidence { nats, upwards: matches!(strongest, 0 | 2 | 4), calibrated }
    }

    /// How much an incident that begins here deserves attention, in nats. Unlike the evidence it gives quiet hours more room
    /// than their own spread asks for (variance `mean + phi * mean * level`): a burst at night weighs less with people than
    /// the same rarity at noon; and a spike within a raised stretch weighs more than a lone one.
    fn rank(&mut self, value: f64, prediction: &Prediction, evidence: &Evidence) -> f64 {
        let mut surprise = 0.0;
        if value > prediction.mean {
            let phi = self.spread.plain_phi() * prediction.level / prediction.mean.max(LEVEL_MIN);
            surprise = prediction.surprises(value, prediction.mean, phi + prediction.doubt).0;
        }
        let calibrated = self.rank_tail.calibrated(surprise);
        if self.seen >= self.config.warm_up_intervals {
            // What stays below the memory of the last incident belongs to it: the tail counts onsets, not intervals.
            let onset = calibrated >= self.rank_memory;
            self.rank_tail.learn(if onset { surprise } else { 0.0 }, &RANK_LEARNING);
        }
        let window = evidence.calibrated[2] + SHARES[2].ln();
        let down = (evidence.calibrated[1] + SHARES[1].ln()).max(evidence.calibrated[3] + SHARES[3].ln());
        let strongest = (calibrated + SHARES[0].ln()).max(window).max(down).max(0.0);
        strongest + CORROBORATION * calibrated.min(evidence.calibrated[2])
    }

    /// Opens, carries on and ends the incident of the series.
    fn follow(&mut self, at: Timestamp, value: f64, prediction: &Prediction, evidence: &Evidence) -> Option<Change> {
        let mark = self.config.alarm_level();
        let mut now = self.incident_now(at, value, prediction, evidence, mark);
        let Some(before) = self.incident else {
            if evidence.nats < mark.max(self.memory * RISE)
                || self.seen < self.config.warm_up_intervals
                || !self.matters(value, evidence)
            {
                return None;
            }
            (self.incident, self.incident_calm) = (Some(now), 0);
            return Some(Change::Opened(now));
        };
        if evidence.nats < mark / 2.0 {
            self.incident_calm += 1;
            if self.incident_calm < self.calm_to_end() {
                return None;
            }
            self.incident = None;
            return Some(Change::Ended(before));
        }
        self.incident_calm = 0;
        if before.score >= now.score {
            now = Incident { last: at, ..before };
        }
        now.onset = before.onset;
        now.severity = now.severity.max(before.severity);
        now.observed_total = before.observed_total + value;
        now.expected_total = before.expected_total + prediction.mean;
        self.incident = Some(now);
        if (at - now.onset).num_seconds() >= i64::from(self.config.adopt_after_s) {
            return Some(self.adopt(now));
        }
        Some(Change::Updated(now))
    }

    fn incident_now(
        &self,
        at: Timestamp,
        value: f64,
        prediction: &Prediction,
        evidence: &Evidence,
        mark: f64,
    ) -> Incident {
        let (lower, upper) = prediction.bounds();
        let kind = match evidence.upwards {
            true => Kind::Surge,
            false if value <= 0.0 => Kind::Silence,
            false => Kind::Drop,
        };
        Incident {
            kind,
            onset: at,
            last: at,
            observed: value,
            expected: prediction.mean,
            lower,
            upper,
            score: score_of_nats(evidence.nats),
            severity: severity(evidence.nats / mark, value, prediction.mean),
            observed_total: value,
            expected_total: prediction.mean,
        }
    }

    /// A handful of posts is no news, however rare.
    fn matters(&self, value: f64, evidence: &Evidence) -> bool {
        let mentions = if evidence.upwards { value.max(self.window.observed) } else { self.window.expected };
        mentions >= self.config.mentions_min
    }

    /// Calm intervals that end an incident: an hour, at least three and at most twelve intervals.
    fn calm_to_end(&self) -> u32 {
        (3600 / self.config.interval_s.max(1)).clamp(3, 12)
    }

    /// Takes the level of a long incident for the new normal.
    fn adopt(&mut self, incident: Incident) -> Change {
        let ratio = (incident.observed_total / incident.expected_total.max(LEVEL_MIN)).clamp(1e-3, 1e3);
        self.level_observed *= ratio;
        self.window = Window::default();
        self.incident = None;
        Change::Adopted(incident)
    }

    fn learn(&mut self, local: i64, value: f64, clipped: f64, prediction: &Prediction) {
        // In the first hours nothing is known of the spread: the level follows the plain values.
        let learned = if self.seen < 12 { value.min(10.0 * clipped.max(1.0)) } else { clipped };
        let mean = prediction.mean;
        let weight = 1.0 / (prediction.unit + prediction.phi * mean);
        let memory = keep(INFLATION_POINTS);
        let far = prediction.clip(value, SPREAD_CLIP);
        // Before the first day has passed, the season not yet known would look like spread.
        let first_day = (86_400 / self.config.interval_s.max(1)).clamp(7, 288);
        if self.seen >= first_day {
            let squared = (far - mean).powi(2) - mean * mean * prediction.doubt * DOUBT_APART;
            self.spread.learn(&Residual { mean, factor: prediction.season, squared, weight }, self.seen);
        }
        if self.seen > 20 {
            let ratio = self.inflation / self.inflation_weight;
            let seen =
                (self.window.observed - self.window.expected).powi(2) / self.window_variance(prediction).max(1e-9);
            self.inflation = self.inflation * memory + seen.min(9.0 * ratio);
            self.inflation_weight = self.inflation_weight * memory + 1.0;
        }
        let fade = self.keep_level();
        self.level_observed = self.level_observed * fade + learned * weight;
        self.level_exposure = self.level_exposure * fade + prediction.season * weight;
        self.season.learn(local, clipped, prediction.level, weight, &PRIORS);
    }

    fn point(&self, prediction: &Prediction, nats: f64, onset: f64, change: Option<Change>, ignored: bool) -> Point {
        let (lower, upper) = prediction.bounds();
        Point {
            expected: prediction.mean,
            lower,
            upper,
            score: score_of_nats(nats),
            onset_score: score_of_nats(onset * RANK_SCALE),
            change,
            in_incident: self.incident.is_some(),
            warming_up: self.seen <= self.config.warm_up_intervals,
            ignored,
        }
    }
}

/// The charged evidence of one interval against "all is as usual".
#[derive(Debug, Clone, Copy)]
struct Evidence {
    nats: f64,
    upwards: bool,
    calibrated: [f64; TESTS],
}
