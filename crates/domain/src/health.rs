//! Component health: which parts of the program cannot do their job at the moment, and why. Services report here;
//! `/readyz`, the system page and the alert about Overheard itself read it.

use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// A component that is failing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the component, such as `watch` or `lake`.
    pub component: String,
    /// The latest error, as a sentence fragment for operators.
    pub reason: String,
    /// When the component began to fail.
    pub since: Timestamp,
}

/// The failing components of this process. A component that has reported nothing is healthy.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<String, Problem>>);

impl Health {
    /// Reports a failure. A component that is failing already keeps the time at which it began.
    pub fn failed(&self, component: &str, reason: impl Display, now: Timestamp) {
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = problems.get(component).map_or(now, |known| known.since);
        let problem = Problem { component: component.to_owned(), reason: reason.to_string(), since };
        problems.insert(component.to_owned(), problem);
    }

    /// Reports that the component works (again).
    pub fn recovered(&self, component: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(component);
    }

    /// The failing components, by name.
    pub fn problems(&self) -> Vec<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_problem_keeps_its_beginning_until_the_component_recovers() {
        let (health, began) = (Health::default(), Timestamp::UNIX_EPOCH);
        health.failed("watch", "first", began);
        health.failed("watch", "second", began + TimeDelta::minutes(5));
        let expected = Problem { component: "watch".into(), reason: "second".into(), since: began };
        assert_eq!(health.problems(), [expected]);
        health.recovered("watch");
        assert!(health.problems().is_empty());
    }
}
