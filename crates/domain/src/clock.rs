//! The one place where the time of day comes in.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// UTC, the only time zone inside the house.
pub type Timestamp = DateTime<Utc>;

/// A length of time that can be added to any date in use: settings and rules hold unchecked numbers of seconds, and more
/// than a hundred years are taken as a hundred.
pub fn seconds(seconds: u64) -> TimeDelta {
    TimeDelta::seconds(i64::try_from(seconds.min(100 * 366 * 86_400)).unwrap_or_default())
}

/// Tells the time; an argument wherever time matters.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start. It never steps, whatever is done to the time of day: for deadlines.
    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clock itself")]
    fn now(&self) -> Timestamp {
        Utc::now()
    }
}

/// A clock that moves when told, for tests and replays.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Sets the time of day, as an operator or NTP does; no time passes.
    pub fn set(&self, now: Timestamp) {
        self.time().0 = now;
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut time = self.time();
        time.0 += TimeDelta::from_std(by).unwrap_or_default();
        time.1 += by;
    }

    fn time(&self) -> MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.time().0
    }

    fn elapsed(&self) -> Duration {
        self.time().1
    }
}
