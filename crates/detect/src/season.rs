//! What is normal at this hour: a daily profile of 24 factors and a weekly one of 168, learned from ratios of what came
//! to what the level alone would give. Every factor is shrunk towards its parent (the week's hour towards the day's hour,
//! the day's hour towards 1) by as much as its data are thin, so that it needs no switch between "not yet" and "learned".
//! Relies on the caller to clip outliers before they are learned.

const HOURS_OF_DAY: usize = 24;
const HOURS_OF_WEEK: usize = 168;

/// Sums behind one factor, in units of information: expected and observed counts divided by `1 + phi * mean`.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    observed: f32,
    expected: f32,
}

impl Cell {
    fn factor(self, prior: f32) -> f64 {
        f64::from((self.observed + prior) / (self.expected + prior))
    }

    fn learn(&mut self, observed: f64, expected: f64) {
        self.observed += observed as f32;
        self.expected += expected as f32;
    }

    fn fade(&mut self, keep: f32) {
        self.observed *= keep;
        self.expected *= keep;
    }
}

/// Information of the prior: one over the squared relative spread that hours have about their parent before any data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priors {
    pub(crate) day: f32,
    pub(crate) week: f32,
    pub(crate) keep_day: f32,
    pub(crate) keep_week: f32,
}

/// People are not on time: a tenth of a squared hour of doubt about when the day turns, so that the change to summer time and
/// a late start do not alarm.
const TIMING: f64 = 0.1;

/// Daily and weekly profile of one series.
#[derive(Debug, Clone)]
pub(crate) struct Season {
    day: [Cell; HOURS_OF_DAY],
    week: Box<[Cell; HOURS_OF_WEEK]>,
    /// Hour of the week last learned, to fade a cell once per pass.
    last_hour: u16,
}

/// The factor at a moment and how uncertain it is (variance of its logarithm).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    pub(crate) value: f64,
    pub(crate) variance: f64,
}

impl Season {
    pub(crate) const HEAP_BYTES: usize = HOURS_OF_WEEK * size_of::<Cell>();

    pub(crate) fn new() -> Self {
        Self {
            day: [Cell::default(); HOURS_OF_DAY],
            week: Box::new([Cell::default(); HOURS_OF_WEEK]),
            last_hour: u16::MAX,
        }
    }

    /// The factor at `seconds` (Unix time, in the zone people live by), between the centres of the hours around it.
    pub(crate) fn factor(&self, seconds: i64, priors: &Priors) -> Factor {
        let (hour, share) = position(seconds);
        let next = (hour + 1) % HOURS_OF_WEEK;
        let near = if share < 0.5 { hour } else { next };
        let value = self.hour_factor(hour, priors) * (1.0 - share) + self.hour_factor(next, priors) * share;
        let information = |cell: Cell, prior: f32| f64::from(cell.expected + prior).max(1e-3);
        let variance = 1.0 / information(self.week[near], priors.week)
            + 1.0 / information(self.day[near % HOURS_OF_DAY], priors.day);
        let (before, after) = ((near + HOURS_OF_WEEK - 1) % HOURS_OF_WEEK, (near + 1) % HOURS_OF_WEEK);
        let ratio = |other: usize| (self.hour_factor(other, priors) / value).ln().abs();
        let slope = ratio(before).max(ratio(after));
        Factor { value, variance: variance + TIMING * slope * slope }
    }

    fn hour_factor(&self, hour: usize, priors: &Priors) -> f64 {
        self.day[hour % HOURS_OF_DAY].factor(priors.day) * self.week[hour].factor(priors.week)
    }

    /// Learns one interval: `observed` (clipped) against `level`, both weighted by `weight = 1 / (1 + phi * mean)`.
    pub(crate) fn learn(&mut self, seconds: i64, observed: f64, level: f64, weight: f64, priors: &Priors) {
        let hour = nearest(seconds);
        if usize::from(self.last_hour) != hour {
            if self.last_hour != u16::MAX {
                self.week[usize::from(self.last_hour)].fade(priors.keep_week);
                self.day[usize::from(self.last_hour) % HOURS_OF_DAY].fade(priors.keep_day);
            }
            self.last_hour = hour as u16;
        }
        let week = self.week[hour].factor(priors.week);
        self.day[hour % HOURS_OF_DAY].learn(observed * weight, level * week * weight);
        // The week learns what the day leaves unexplained: both learning the whole of it would overshoot.
        let day = self.day[hour % HOURS_OF_DAY].factor(priors.day);
        self.week[hour].learn(observed * weight, level * day * weight);
    }
}

/// Hour of the week whose centre lies at or before the moment, and how far on to the next centre.
fn position(seconds: i64) -> (usize, f64) {
    let shifted = (seconds - 1800).rem_euclid(604_800);
    ((shifted / 3600) as usize, (shifted % 3600) as f64 / 3600.0)
}

fn nearest(seconds: i64) -> usize {
    (seconds.rem_euclid(604_800) / 3600) as usize
}
