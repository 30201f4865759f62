//! The one place where the time of day comes in.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Mutex;

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
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
