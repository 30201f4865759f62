//! The predicted distribution of one interval: negative binomial about `mean`, counted in `unit`s.

use crate::count;

/// Normal score of the interval shown to people: 99.7% of ordinary intervals lie within.
const SHOWN: f64 = 3.0;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Prediction {
    pub(crate) level: f64,
    pub(crate) mean: f64,
    /// Scale and over-dispersion of the variance, see `spread`.
    pub(crate) unit: f64,
    pub(crate) phi: f64,
    /// Relative variance of the mean itself.
    pub(crate) doubt: f64,
    pub(crate) season: f64,
}

impl Prediction {
    /// Surprise of at least and of at most `value` where `mean` was expected.
    pub(crate) fn surprises(&self, value: f64, mean: f64, phi: f64) -> (f64, f64) {
        count::surprises(value / self.unit, mean / self.unit, phi)
    }

    pub(crate) fn variance(&self, phi: f64) -> f64 {
        self.unit * self.mean + phi * self.mean * self.mean
    }

    /// The over-dispersion of a sum with this variance and mean.
    pub(crate) fn phi_of(&self, variance: f64, mean: f64) -> f64 {
        (variance - self.unit * mean).max(0.0) / (mean * mean).max(1e-9)
    }

    /// The value within so many deviations of the mean, as if it were a count: measurements are clipped less.
    pub(crate) fn clip(&self, value: f64, deviations: f64) -> f64 {
        let phi = self.phi + self.doubt;
        value.clamp(
            count::quantile(-deviations, self.mean, phi).floor(),
            count::quantile(deviations, self.mean, phi).ceil(),
        )
    }

    /// The interval shown to people.
    pub(crate) fn bounds(&self) -> (f64, f64) {
        let phi = self.phi + self.doubt;
        let bound = |deviations: f64| self.unit * count::quantile(deviations, self.mean / self.unit, phi);
        (bound(-SHOWN), bound(SHOWN))
    }
}
