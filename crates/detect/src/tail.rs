//! Turns the surprise of a model into a probability that history bears out. Real series are burstier than any fitted
//! distribution, so the tail is learned: how often the surprise passed a mark, and by how much it then went on, gives an
//! exponential tail (peaks over threshold) that starts from what the model claims and yields to what was seen. What so
//! few excesses leave in doubt is part of the answer: the predictive tail is Lomax's, heavier while little was seen.
//! Relies on the caller for surprise in natural units (`-ln p`).

/// Where the learned tail begins: the model's own one in fifty.
pub(crate) const MARK: f64 = 3.912_023_005_428_146;

/// How the tail learns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learning {
    /// Points that the model's claim is worth.
    pub(crate) prior_points: f64,
    /// Mean excess over the mark before data, nats: 1 is the model's claim.
    pub(crate) prior_scale: f64,
    /// What a point leaves of the history before it.
    pub(crate) keep: f64,
    /// Excess is learned up to so many times the present scale: one storm does not deafen the detector.
    pub(crate) cap: f64,
}

/// The learned tail of one statistic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    points: f32,
    passed: f32,
    excess: f32,
}

impl Tail {
    pub(crate) fn new(learning: &Learning) -> Self {
        let passed = learning.prior_points * (-MARK).exp();
        Self {
            points: learning.prior_points as f32,
            passed: passed as f32,
            excess: (passed * learning.prior_scale) as f32,
        }
    }

    /// Mean excess over the mark.
    fn scale(&self) -> f64 {
        f64::from(self.excess) / f64::from(self.passed)
    }

    /// `-ln` of the calibrated probability of a surprise at least as large.
    pub(crate) fn calibrated(&self, surprise: f64) -> f64 {
        let rate = -(f64::from(self.passed) / f64::from(self.points)).ln();
        if surprise <= MARK {
            return surprise * rate / MARK;
        }
        rate + f64::from(self.passed) * ((surprise - MARK) / f64::from(self.excess)).ln_1p()
    }

    pub(crate) fn learn(&mut self, surprise: f64, learning: &Learning) {
        self.points = self.points * learning.keep as f32 + 1.0;
        self.passed *= learning.keep as f32;
        self.excess *= learning.keep as f32;
        if surprise > MARK {
            let scale = self.scale();
            self.passed += 1.0;
            self.excess += (surprise - MARK).min(learning.cap * scale) as f32;
        }
    }
}
