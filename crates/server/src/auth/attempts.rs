//! Slows down who guesses passwords: after five failures for a name, or twenty from an address, no more sign-ins of
//! theirs for a while.

use chrono::Duration;
use domain::Timestamp;
use std::collections::HashMap;
use std::sync::Mutex;

const FAILURES_PER_NAME_MAX: u32 = 5;
const FAILURES_PER_ADDRESS_MAX: u32 = 20;
const WINDOW: Duration = Duration::minutes(5);
/// Names and addresses remembered; beyond it the oldest windows are forgotten first.
const KEYS_MAX: usize = 10_000;

/// Recent failures by name and by address.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, (u32, Timestamp)>>);

impl Attempts {
    /// Seconds to wait before the next try, when there were too many.
    pub(crate) fn wait_s(&self, name: &str, address: &str, now: Timestamp) -> Option<u32> {
        let failures = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let wait = |key: String, max: u32| {
            let (count, since) = failures.get(&key)?;
            let left = (*since + WINDOW - now).num_seconds();
            (*count >= max && left > 0).then(|| u32::try_from(left).unwrap_or(1))
        };
        wait(name_key(name), FAILURES_PER_NAME_MAX).or_else(|| wait(address_key(address), FAILURES_PER_ADDRESS_MAX))
    }

    pub(crate) fn failed(&self, name: &str, address: &str, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if failures.len() >= KEYS_MAX {
            failures.retain(|_, (_, since)| now - *since < WINDOW);
        }
        for key in [name_key(name), address_key(address)] {
            let entry = failures.entry(key).or_insert((0, now));
            if now - entry.1 >= WINDOW {
                *entry = (0, now);
            }
            entry.0 += 1;
        }
    }

    pub(crate) fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(&name_key(name));
    }
}

fn name_key(name: &str) -> String {
    format!("name {}", name.to_lowercase())
}

fn address_key(address: &str) -> String {
    format!("address {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_guess_waits_and_the_wait_ends() {
        let attempts = Attempts::default();
        let start: Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
        for _ in 0..5 {
            assert_eq!(attempts.wait_s("ada", "10.0.0.1", start), None);
            attempts.failed("ada", "10.0.0.1", start);
        }
        assert_eq!(attempts.wait_s("Ada", "10.0.0.2", start), Some(300));
        assert_eq!(attempts.wait_s("grace", "10.0.0.1", start), None);
        assert_eq!(attempts.wait_s("ada", "10.0.0.1", start + WINDOW), None);
    }

    #[test]
    fn one_address_can_not_try_many_names() {
        let attempts = Attempts::default();
        let now: Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
        (0..20).for_each(|n| attempts.failed(&format!("user{n}"), "10.0.0.1", now));
        assert!(attempts.wait_s("someone", "10.0.0.1", now).is_some());
        attempts.succeeded("someone");
        assert!(attempts.wait_s("someone", "10.0.0.9", now).is_none());
    }
}
