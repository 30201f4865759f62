//! How long to wait before the next try. Failures of the network, errors of HTTP and refusals by rate are counted apart,
//! and start anew once a connection has lasted. Pure: delays are answers, nobody sleeps here.

use super::failure::Failure;
use domain::Timestamp;
use std::time::Duration;

/// First and longest waits. The defaults are what X asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Added at each failure of the network.
    pub network_step: Duration,
    pub network_max: Duration,
    /// The first wait after an error of HTTP; doubled at each further one.
    pub http_first: Duration,
    pub http_max: Duration,
    /// The first wait after a refusal by rate (429); doubled at each further one.
    pub rate_first: Duration,
    pub rate_max: Duration,
    /// A connection that lasted so long was healthy and resets the counts. One that is accepted and closed at once was
    /// not.
    pub healthy_after: Duration,
}

impl BackoffPolicy {
    /// For requests that are repeated every few minutes.
    pub fn for_polling() -> Self {
        Self {
            network_step: Duration::from_secs(15),
            network_max: Duration::from_secs(300),
            http_first: Duration::from_secs(60),
            http_max: Duration::from_secs(3_600),
            rate_first: Duration::from_secs(300),
            rate_max: Duration::from_secs(86_400),
            healthy_after: Duration::ZERO,
        }
    }
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            network_step: Duration::from_millis(250),
            network_max: Duration::from_secs(16),
            http_first: Duration::from_secs(5),
            http_max: Duration::from_secs(320),
            rate_first: Duration::from_secs(60),
            // One window of X's limits.
            rate_max: Duration::from_secs(900),
            // Longer than X's keep-alives are apart.
            healthy_after: Duration::from_secs(30),
        }
    }
}

/// Failures so far, by kind.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: BackoffPolicy,
    network: u32,
    http: u32,
    rate: u32,
}

impl Backoff {
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, network: 0, http: 0, rate: 0 }
    }

    /// The wait after a failure. A time that the platform names goes before our own, unless it has passed.
    pub fn after(&mut self, failure: &Failure, now: Timestamp) -> Duration {
        let until = |at: &Option<Timestamp>| at.filter(|at| *at > now).map(|at| until(at, now));
        match failure {
            Failure::Network(_) => self.network(),
            Failure::Rate { retry_at, .. } => self.rate(until(retry_at)),
            Failure::Refused { .. } => self.http(),
            Failure::Http { retry_at, .. } => {
                let wait = self.http();
                until(retry_at).map_or(wait, |until| until.min(self.policy.rate_max))
            }
        }
    }

    /// The wait after a failure of the network: a step more each time.
    pub fn network(&mut self) -> Duration {
        self.network = self.network.saturating_add(1);
        self.policy.network_step.saturating_mul(self.network).min(self.policy.network_max)
    }

    /// The wait after an error of HTTP, doubled each time.
    pub fn http(&mut self) -> Duration {
        let wait = doubled(self.policy.http_first, self.http, self.policy.http_max);
        self.http = self.http.saturating_add(1);
        wait
    }

    /// The wait after a 429: until the limit is reset, if the platform says when; else doubled each time.
    pub fn rate(&mut self, until_reset: Option<Duration>) -> Duration {
        let wait = doubled(self.policy.rate_first, self.rate, self.policy.rate_max);
        self.rate = self.rate.saturating_add(1);
        until_reset.map_or(wait, |reset| reset.min(self.policy.rate_max))
    }

    /// The wait after a connection ended that had lasted so long: none after a healthy one.
    pub fn closed(&mut self, lasted: Duration) -> Duration {
        if lasted < self.policy.healthy_after {
            return self.network();
        }
        self.reset();
        Duration::ZERO
    }

    /// Starts anew after a success.
    pub fn reset(&mut self) {
        *self = Self::new(self.policy);
    }
}

/// How long it is until a moment; a second more, because the other clock may be a little behind ours.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    (at - now).to_std().unwrap_or_default() + Duration::from_secs(1)
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
    fn each_kind_of_failure_waits_as_x_asks() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        assert_eq!(seconds(|| backoff.network(), 4), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(seconds(|| backoff.network(), 100).last(), Some(&16.0));
        assert_eq!(seconds(|| backoff.http(), 9), [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 320.0, 320.0]);
        assert_eq!(seconds(|| backoff.rate(None), 5), [60.0, 120.0, 240.0, 480.0, 900.0]);
    }

    #[test]
    fn kinds_of_failures_are_counted_apart_and_start_anew() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        backoff.network();
        backoff.network();
        assert_eq!(backoff.http().as_secs(), 5, "the network's failures don't count for HTTP");
        backoff.reset();
        assert_eq!(backoff.network().as_millis(), 250);
        assert_eq!(backoff.http().as_secs(), 5);
    }

    #[test]
    fn only_a_connection_that_lasted_resets_the_counts() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        backoff.http();
        let short = Duration::from_secs(1);
        assert_eq!(seconds(|| backoff.closed(short), 4), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(backoff.http().as_secs(), 10, "a short connection does not reset the others");
        assert_eq!(backoff.closed(Duration::from_secs(30)), Duration::ZERO);
        assert_eq!((backoff.closed(short).as_millis(), backoff.http().as_secs()), (250, 5));
    }

    #[test]
    fn the_reset_of_a_limit_goes_before_our_own_wait() {
        let mut backoff = Backoff::new(BackoffPolicy::default());
        assert_eq!(backoff.rate(Some(Duration::from_secs(7))).as_secs(), 7);
        assert_eq!(backoff.rate(None).as_secs(), 120);
        assert_eq!(backoff.rate(Some(Duration::from_secs(9_999))).as_secs(), 900);
    }

    #[test]
    fn a_time_that_the_platform_names_goes_first() {
        let now = Timestamp::UNIX_EPOCH;
        let unavailable = |seconds: Option<i64>| Failure::Http {
            status: 503,
            message: String::new(),
            retry_at: seconds.map(|seconds| now + chrono::TimeDelta::seconds(seconds)),
        };
        let mut backoff = Backoff::new(BackoffPolicy::default());
        assert_eq!(backoff.after(&unavailable(Some(120)), now).as_secs(), 121);
        assert_eq!(backoff.after(&unavailable(None), now).as_secs(), 10);
        assert_eq!(backoff.after(&unavailable(Some(9_999)), now).as_secs(), 900);
        assert_eq!(backoff.after(&unavailable(Some(0)), now).as_secs(), 40, "a time that has passed");
        let rate = Failure::Rate { message: String::new(), retry_at: Some(now - chrono::TimeDelta::seconds(5)) };
        assert_eq!(backoff.after(&rate, now).as_secs(), 60);
    }
}
