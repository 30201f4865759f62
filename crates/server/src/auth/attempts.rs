//! Slows down who guesses passwords. An attempt is counted before the password is looked at, so that many at once are no
//! way around it. Who fails too often has to wait, each time twice as long; nobody is locked out: failures count for a
//! name on one network, for a network, and, with a wide limit, for a name; a device that its user signed in from before
//! has a count of its own, which others can't use up.

use chrono::Duration;
use domain::Timestamp;
use state::digest;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures of one name from one network, or from one known device, before it has to wait.
const FREE_PER_NAME_AND_NETWORK: u32 = 5;
/// Failures from one network: several people sit behind one address.
const FREE_PER_NETWORK: u32 = 20;
/// Failures for one name from everywhere: guesses of many machines together.
const FREE_PER_NAME: u32 = 100;
/// The first wait, and the longest.
const WAIT_MIN: Duration = Duration::seconds(5);
const WAIT_MAX: Duration = Duration::minutes(5);
/// Failures are forgotten this long after the last one.
const FORGET_AFTER: Duration = Duration::hours(1);
/// Counts held; beyond it the one that was used longest ago is forgotten.
const COUNTS_MAX: usize = 10_000;

/// A count and how many failures it lets pass without a wait.
type Key = (String, u32);

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trier<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: IpAddr,
    /// The secret of a device that this user signed in from before.
    pub(crate) device: Option<&'a str>,
}

impl Trier<'_> {
    fn keys(&self) -> Vec<Key> {
        if let Some(device) = self.device {
            return vec![(format!("device {}", digest(device)), FREE_PER_NAME_AND_NETWORK)];
        }
        // A digest, so that a key has one length whatever was typed as a name.
        let (name, network) = (digest(&self.name.to_lowercase()), network(self.address));
        vec![
            (format!("name {name} {network}"), FREE_PER_NAME_AND_NETWORK),
            (format!("network {network}"), FREE_PER_NETWORK),
            (format!("name {name}"), FREE_PER_NAME),
        ]
    }
}

/// What one customer has: a single IPv4 address, a /64 of IPv6.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    last: Timestamp,
    /// Place in the order of use.
    turn: u64,
}

#[derive(Debug, Default)]
struct Counts {
    by_key: HashMap<String, Count>,
    by_turn: BTreeMap<u64, String>,
    turn: u64,
}

impl Counts {
    /// Seconds that whoever has this count still has to wait.
    fn wait_s(&self, (key, free): &Key, now: Timestamp) -> Option<u32> {
        let count = self.by_key.get(key).filter(|count| now - count.last < FORGET_AFTER)?;
        let doublings = count.failures.checked_sub(*free)?.min(10);
        let wait = (WAIT_MIN * (1 << doublings)).min(WAIT_MAX);
        let left = (count.last + wait - now).num_seconds();
        (left > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn change(&mut self, key: &str, now: Timestamp, change: impl Fn(u32) -> u32) {
        self.turn += 1;
        let old = self.by_key.remove(key);
        if let Some(old) = old {
            self.by_turn.remove(&old.turn);
        }
        let fresh = old.filter(|count| now - count.last < FORGET_AFTER);
        let failures = change(fresh.map_or(0, |count| count.failures));
        if failures == 0 {
            return;
        }
        let last =
            if fresh.is_some_and(|count| count.failures > failures) { fresh.map_or(now, |c| c.last) } else { now };
        self.by_key.insert(key.to_owned(), Count { failures, last, turn: self.turn });
        self.by_turn.insert(self.turn, key.to_owned());
        while self.by_key.len() > COUNTS_MAX
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.by_key.remove(&oldest);
        }
    }
}

/// Recent failures.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Counts>);

/// An attempt that was counted as a failure until its outcome is known.
#[derive(Debug)]
pub(crate) struct Attempt(Vec<Key>);

impl Attempts {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a sign-in about to be judged; an error says how many seconds to wait before the next, and counts nothing.
    pub(crate) fn sign_in(&self, trier: Trier<'_>, now: Timestamp) -> Result<Attempt, u32> {
        self.begin(trier.keys(), now)
    }

    /// The same for a password that someone who is signed in has to give once more.
    pub(crate) fn confirm(&self, user: &str, now: Timestamp) -> Result<Attempt, u32> {
        self.begin(vec![(format!("confirm {}", digest(user)), FREE_PER_NAME_AND_NETWORK)], now)
    }

    fn begin(&self, keys: Vec<Key>, now: Timestamp) -> Result<Attempt, u32> {
        let mut counts = self.counts();
        if let Some(wait) = keys.iter().filter_map(|key| counts.wait_s(key, now)).max() {
            return Err(wait);
        }
        for (key, _) in &keys {
            counts.change(key, now, |failures| failures.saturating_add(1));
        }
        Ok(Attempt(keys))
    }

    /// The password was right: what was counted for this name here is forgotten, elsewhere this attempt alone.
    pub(crate) fn succeeded(&self, attempt: Attempt, now: Timestamp) {
        let mut counts = self.counts();
        for (at, (key, _)) in attempt.0.iter().enumerate() {
            counts.change(key, now, |failures| if at == 0 { 0 } else { failures.saturating_sub(1) });
        }
    }

    /// It could not be judged: as if it had not been.
    pub(crate) fn taken_back(&self, attempt: Attempt, now: Timestamp) {
        let mut counts = self.counts();
        for (key, _) in &attempt.0 {
            counts.change(key, now, |failures| failures.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-11-23T07:00:00Z".parse().unwrap()
    }

    fn from<'a>(name: &'a str, address: &str) -> Trier<'a> {
        Trier { name, address: address.parse().unwrap(), device: None }
    }

    #[test]
    fn of_two_hundred_guesses_at_once_five_are_judged() {
        let attempts = Attempts::default();
        let judged = (0..200).filter(|_| attempts.sign_in(from("ada", "10.0.0.1"), start()).is_ok()).count();
        assert_eq!(judged, 5);
    }

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_is_forgotten() {
        let attempts = Attempts::default();
        let mut now = start();
        (0..5).for_each(|_| drop(attempts.sign_in(from("ada", "10.0.0.1"), now).unwrap()));
        for expected in [5, 10, 20, 40, 80, 160, 300, 300] {
            let wait = attempts.sign_in(from("Ada", "10.0.0.1"), now).unwrap_err();
            assert_eq!(wait, expected);
            now += Duration::seconds(i64::from(wait));
            attempts.sign_in(from("ada", "10.0.0.1"), now).unwrap();
        }
        now += FORGET_AFTER;
        assert!((0..5).all(|_| attempts.sign_in(from("ada", "10.0.0.1"), now).is_ok()));
    }

    #[test]
    fn guesses_of_others_lock_nobody_out() {
        let attempts = Attempts::default();
        for n in 0..50 {
            (0..9).for_each(|_| drop(attempts.sign_in(from("ada", &format!("10.0.1.{n}")), start())));
        }
        assert!(attempts.sign_in(from("ada", "10.0.0.2"), start()).is_err(), "from an unknown place she waits");
        let device = Trier { device: Some("hers"), ..from("ada", "10.0.1.1") };
        let attempt = attempts.sign_in(device, start()).unwrap();
        attempts.succeeded(attempt, start());
        assert_eq!(
            (0..20).filter(|_| attempts.sign_in(device, start()).is_ok()).count(),
            5,
            "a device has its own limit"
        );
    }

    #[test]
    fn one_network_can_not_try_many_names() {
        let attempts = Attempts::default();
        let addresses = (0..200).map(|n| format!("2001:db8:1:2::{n:x}"));
        let judged = addresses.filter(|a| attempts.sign_in(from(a, a), start()).is_ok()).count();
        assert_eq!(judged, 20, "a /64 is one network");
        assert!(attempts.sign_in(from("someone", "2001:db8:1:3::1"), start()).is_ok());
    }

    #[test]
    fn right_passwords_and_those_that_were_not_judged_count_for_nothing() {
        let attempts = Attempts::default();
        for n in 0..100 {
            let attempt = attempts.sign_in(from(&format!("user{n}"), "10.0.0.1"), start()).unwrap();
            if n % 2 == 0 { attempts.succeeded(attempt, start()) } else { attempts.taken_back(attempt, start()) }
        }
        assert_eq!(attempts.counts().by_key.len(), 0);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_least_used() {
        let attempts = Attempts::default();
        for n in 0..8_000u32 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from(n));
            drop(attempts.sign_in(Trier { name: &format!("{n}"), address, device: None }, start()));
        }
        let counts = attempts.counts();
        assert_eq!((counts.by_key.len(), counts.by_turn.len()), (COUNTS_MAX, COUNTS_MAX));
        assert!(counts.by_key.contains_key("network 0.0.31.63") && !counts.by_key.contains_key("network 0.0.0.1"));
    }
}
