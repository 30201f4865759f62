//! Simulated counts for tests and figures: negative binomial about a daily and weekly season, from a seed.

use chrono::{DateTime, Utc};

/// A small reproducible generator (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + 1e-17
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Marsaglia and Tsang's gamma of shape at least 1.
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 200.0 {
            // Sums of Poisson counts are Poisson: a large mean is drawn as a gamma-thinned remainder.
            let pivot = (mean * 0.875).floor();
            let wait = self.gamma(pivot);
            return if wait <= mean {
                pivot + self.poisson(mean - wait)
            } else {
                self.binomial(pivot - 1.0, mean / wait)
            };
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }

    fn binomial(&mut self, trials: f64, share: f64) -> f64 {
        (0..trials as u64).map(|_| f64::from(u8::from(self.uniform() < share))).sum()
    }

    /// A negative binomial count: variance `mean + dispersion * mean^2`, `dispersion` at most 1.
    pub(crate) fn count(&mut self, mean: f64, dispersion: f64) -> f64 {
        let rate = if dispersion > 0.0 { self.gamma(1.0 / dispersion) * dispersion * mean } else { mean };
        self.poisson(rate)
    }
}

/// A Monday, midnight UTC.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_704_067_200, 0).unwrap_or_default()
}

/// The usual mean of an hour: a day with a night, quieter weekends.
pub(crate) fn usual(level: f64, hour: i64) -> f64 {
    let day = 1.0 + 0.6 * ((hour.rem_euclid(24) as f64 - 14.0) / 24.0 * std::f64::consts::TAU).cos();
    let weekend = if (hour / 24).rem_euclid(7) >= 5 { 0.6 } else { 1.1 };
    level * day * weekend
}
