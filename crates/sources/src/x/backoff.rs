//! How long to wait before the next try: one ladder for the network, one for errors of HTTP, one for refusals by rate;
//! each climbs on its own and starts anew once a connection has lasted. Pure: delays are answers, nobody sleeps here.

use std::time::Duration;

/// The steps, as X asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladders {
    /// Added at each failure of the network.
    pub network_step: Duration,
    pub network_max: Duration,
    /// The first wait after an error of HTTP; doubled at each further one.
    pub http_first: Duration,
    pub http_max: Duration,
    /// The first wait after a refusal by rate (429); doubled at each further one.
    pub rate_first: Duration,
    pub rate_max: Duration,
    /// A connection that lasted so long was healthy: the ladders start anew. One that is accepted, says something and is
    /// closed at once was not.
    pub healthy_after: Duration,
}

impl Default for Ladders {
    fn default() -> Self {
        Self {
            network_step: Duration::from_millis(250),
            network_max: Duration::from_secs(16),
            http_first: Duration::from_secs(5),
            http_max: Duration::from_secs(320),
            rate_first: Duration::from_secs(60),
            // One window of X's limits.
            rate_max: Duration::from_secs(900),
            // Longer than X's signs of life are apart.
            healthy_after: Duration::from_secs(30),
        }
    }
}

/// Where we stand on each ladder.
#[derive(Debug, Clone)]
pub struct Ladder {
    steps: Ladders,
    network: u32,
    http: u32,
    rate: u32,
}

impl Ladder {
    pub fn new(steps: Ladders) -> Self {
        Self { steps, network: 0, http: 0, rate: 0 }
    }

    /// The wait after a failure of the network: 250 ms more each time, up to 16 s.
    pub fn network(&mut self) -> Duration {
        self.network = self.network.saturating_add(1);
        self.steps.network_step.saturating_mul(self.network).min(self.steps.network_max)
    }

    /// The wait after an error of HTTP: 5 s, doubled up to 320 s.
    pub fn http(&mut self) -> Duration {
        let wait = doubled(self.steps.http_first, self.http, self.steps.http_max);
        self.http = self.http.saturating_add(1);
        wait
    }

    /// The wait after a 429: until the limit is reset, when X says that it is used up; else 60 s, doubled.
    pub fn rate(&mut self, until_reset: Option<Duration>) -> Duration {
        let wait = doubled(self.steps.rate_first, self.rate, self.steps.rate_max);
        self.rate = self.rate.saturating_add(1);
        until_reset.map_or(wait, |reset| reset.min(self.steps.rate_max))
    }

    /// The wait after a connection ended that had lasted so long: none after a healthy one, for breaks happen.
    pub fn closed(&mut self, lasted: Duration) -> Duration {
        if lasted < self.steps.healthy_after {
            return self.network();
        }
        self.reset();
        Duration::ZERO
    }

    /// All is well again.
    pub fn reset(&mut self) {
        *self = Self::new(self.steps);
    }
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(30))).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(mut next: impl FnMut() -> Duration, times: usize) -> Vec<f64> {
        (0..times).map(|_| next().as_secs_f64()).collect()
    }

    #[test]
    fn each_ladder_climbs_as_x_asks() {
        let mut ladder = Ladder::new(Ladders::default());
        assert_eq!(seconds(|| ladder.network(), 4), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(seconds(|| ladder.network(), 100).last(), Some(&16.0));
        assert_eq!(seconds(|| ladder.http(), 9), [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0, 320.0]);
        assert_eq!(seconds(|| ladder.rate(None), 5), [60.0, 120.0, 240.0, 480.0, 900.0]);
    }

    #[test]
    fn the_ladders_are_separate_and_start_anew() {
        let mut ladder = Ladder::new(Ladders::default());
        ladder.network();
        ladder.network();
        assert_eq!(ladder.http().as_secs(), 5, "the network's failures don't count for HTTP");
        ladder.reset();
        assert_eq!(ladder.network().as_millis(), 250);
        assert_eq!(ladder.http().as_secs(), 5);
    }

    #[test]
    fn only_a_connection_that_lasted_starts_the_ladders_anew() {
        let mut ladder = Ladder::new(Ladders::default());
        ladder.http();
        let short = Duration::from_secs(1);
        assert_eq!(seconds(|| ladder.closed(short), 4), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ladder.http().as_secs(), 10, "a short connection does not reset the others");
        assert_eq!(ladder.closed(Duration::from_secs(30)), Duration::ZERO);
        assert_eq!((ladder.closed(short).as_millis(), ladder.http().as_secs()), (250, 5));
    }

    #[test]
    fn the_reset_of_a_limit_goes_before_the_ladder() {
        let mut ladder = Ladder::new(Ladders::default());
        assert_eq!(ladder.rate(Some(Duration::from_secs(7))).as_secs(), 7);
        assert_eq!(ladder.rate(None).as_secs(), 120);
        assert_eq!(ladder.rate(Some(Duration::from_secs(9_999))).as_secs(), 900);
    }
}
