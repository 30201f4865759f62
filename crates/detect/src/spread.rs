//! The learned variance of a series about its expected value `mean`: `unit * mean + phi * mean^2`.
//!
//! `phi` is the over-dispersion, learned separately for the quiet and the busy half of the season. `unit` is 1 for counts
//! (the Poisson part). It falls below 1 for series that vary less than independent counts do, for example measurements
//! and averages.

/// Prior over-dispersion, its weight in points, and the number of points that the estimate remembers.
const PHI_PRIOR: f64 = 0.1;
const PHI_PRIOR_POINTS: f64 = 50.0;
const PHI_POINTS: f64 = 5000.0;
/// Bounds of the over-dispersion of one half. The lower bound of counts is a standard deviation of 3%: smaller changes
/// of a large count matter to nobody.
const PHI_MIN_COUNTS: f64 = 1e-3;
const PHI_MIN: f64 = 1e-5;
const PHI_MAX: f64 = 5.0;
/// Weight, in points, of the prior that values vary as counts do.
const UNIT_PRIOR_POINTS: f64 = 300.0;
/// Whole numbers are under-dispersed only below this ratio of variance to mean: above it, it may be chance.
const UNIT_COUNTS_MAX: f64 = 0.8;
const UNIT_COUNTS_MIN: f64 = 0.1;
/// Smallest unit of measurements, relative to the mean.
const UNIT_MIN_RELATIVE: f64 = 1e-5;

/// The residual of one value, as far as the variance is learned from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Residual {
    pub(crate) mean: f64,
    /// Season's factor.
    pub(crate) factor: f64,
    /// Squared distance from the mean less what the uncertainty of the mean explains.
    pub(crate) squared: f64,
    /// `1 / (unit + phi * mean)` of the prediction.
    pub(crate) weight: f64,
}

/// Weighted moments over one half of the season, and the mean logarithm of the season's factor there.
#[derive(Debug, Clone, Copy)]
struct Half {
    excess: f64,
    weight: f64,
    /// Weight under a variance that grows with the level instead of the mean.
    ranked: f64,
    centre: f64,
    points: f64,
}

impl Half {
    fn new() -> Self {
        Self {
            excess: PHI_PRIOR * PHI_PRIOR_POINTS,
            weight: PHI_PRIOR_POINTS,
            ranked: PHI_PRIOR_POINTS,
            centre: 0.0,
            points: 1.0,
        }
    }

    fn phi(&self) -> f64 {
        (self.excess / self.weight).clamp(PHI_MIN, PHI_MAX)
    }

    fn centre(&self) -> f64 {
        self.centre / self.points
    }

    fn learn(&mut self, residual: &Residual, keep: f64) {
        let Residual { mean, factor, squared, weight } = *residual;
        let information = (mean * weight).powi(2);
        self.excess = (self.excess * keep + (squared - mean) * weight * weight).max(0.0);
        self.weight = self.weight * keep + information;
        self.ranked = self.ranked * keep + information / factor.max(0.02);
        self.centre = self.centre * keep + factor.max(0.02).ln();
        self.points = self.points * keep + 1.0;
    }
}

/// The variance of one series, as learned so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    quiet: Half,
    busy: Half,
    /// Sum of `squared / mean` over the points below it.
    scatter: f64,
    points: f64,
    /// A value with a fraction was seen: these are no counts.
    fractional: bool,
}

impl Spread {
    pub(crate) fn new() -> Self {
        Self {
            quiet: Half::new(),
            busy: Half::new(),
            scatter: UNIT_PRIOR_POINTS,
            points: UNIT_PRIOR_POINTS,
            fractional: false,
        }
    }

    /// Notes whether the value is a whole number.
    pub(crate) fn see(&mut self, value: f64) {
        self.fractional |= value.fract() != 0.0;
    }

    /// The unit at a mean, at most 1.
    pub(crate) fn unit(&self, mean: f64) -> f64 {
        let ratio = self.scatter / self.points;
        match self.fractional {
            true => ratio.clamp((UNIT_MIN_RELATIVE * mean).clamp(1e-9, 1.0), 1.0),
            false if ratio > UNIT_COUNTS_MAX => 1.0,
            false => ratio.max(UNIT_COUNTS_MIN),
        }
    }

    /// Over-dispersion at a factor of the season. Quiet hours of real series are relatively wilder (few authors, robots);
    /// the two halves give the slope.
    pub(crate) fn phi(&self, factor: f64) -> f64 {
        let Self { quiet, busy, .. } = self;
        let distance = (busy.centre() - quiet.centre()).max(0.2);
        let slope = ((busy.phi() / quiet.phi()).ln() / distance).clamp(-2.0, 0.5);
        let anchor = if quiet.weight > busy.weight { quiet } else { busy };
        let least = if self.fractional { PHI_MIN } else { PHI_MIN_COUNTS };
        let phi = (anchor.phi().ln() + slope * (factor.max(0.02).ln() - anchor.centre())).exp();
        phi.clamp(least, 1.5 * PHI_MAX)
    }

    /// Over-dispersion over the whole season under a variance of `phi * mean * level`.
    pub(crate) fn plain_phi(&self) -> f64 {
        let Self { quiet, busy, .. } = self;
        ((quiet.excess + busy.excess) / (quiet.ranked + busy.ranked)).clamp(PHI_MIN, 1.0)
    }

    /// Learns one residual. `seen` is the age of the series in points: early residuals fade faster.
    pub(crate) fn learn(&mut self, residual: &Residual, seen: u32) {
        let keep = (-1.0 / (f64::from(seen) / 2.0).clamp(24.0, PHI_POINTS)).exp();
        let half = if residual.factor >= 1.0 { &mut self.busy } else { &mut self.quiet };
        half.learn(residual, keep);
        self.scatter = self.scatter * keep + residual.squared.max(0.0) / residual.mean.max(1e-9);
        self.points = self.points * keep + 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spread after `points` residuals that vary by `deviation` about `mean`.
    fn learned(mean: f64, deviation: f64, value: f64) -> Spread {
        let mut spread = Spread::new();
        spread.see(value);
        for seen in 0..3000 {
            let unit = spread.unit(mean);
            let weight = 1.0 / (unit + spread.phi(1.0) * mean);
            spread.learn(&Residual { mean, factor: 1.0, squared: deviation * deviation, weight }, seen);
        }
        spread
    }

    #[test]
    fn counts_keep_the_poisson_part_and_measurements_do_not() {
        assert_eq!(learned(100.0, 10.0, 98.0).unit(100.0), 1.0);
        assert_eq!(learned(100.0, 30.0, 98.0).unit(100.0), 1.0);
        // A count of 90 whose standard deviation is 3 varies a tenth as much as independent events.
        assert!(learned(90.0, 3.0, 98.0).unit(90.0) < 0.15);
        // A measurement of 0.1 with a standard deviation of 0.01.
        let unit = learned(0.1, 0.01, 0.13).unit(0.1);
        assert!((0.0009..0.002).contains(&unit), "{unit}");
    }

    #[test]
    fn over_dispersion_is_learned() {
        let phi = learned(100.0, 50.0, 98.0).phi(1.0);
        assert!((0.2..0.28).contains(&phi), "{phi}");
    }
}
