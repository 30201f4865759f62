//! Alerts about Overheard itself: every channel is notified of a component that has been failing for some minutes, and of
//! its recovery. A failure goes through the alert book as an anomaly of a topic of its own, by a built-in rule.

use crate::facts::Facts;
use chrono::TimeDelta;
use domain::{AlertRule, Anomaly, Condition, Problem, Severity, Timestamp};
use std::collections::BTreeMap;

/// Shorter failures recover by themselves: no one is notified.
const LASTING: TimeDelta = TimeDelta::minutes(3);
/// The rule's name.
const RULE: &str = "Overheard itself";

/// The failures that were reported and go on.
#[derive(Default)]
pub(crate) struct ComponentAlerts(BTreeMap<String, Anomaly>);

impl ComponentAlerts {
    /// Failures that last, and those that are over since the last look, as rules and facts for the alert book.
    pub(crate) fn look(
        &mut self,
        problems: &[Problem],
        channels: &[String],
        now: Timestamp,
    ) -> (Vec<AlertRule>, Vec<Facts>) {
        let (goes_on, mut over): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.0).into_iter().partition(|(id, _)| problems.iter().any(|one| id_of(one) == *id));
        over.values_mut().for_each(|failure| failure.end = Some(now));
        self.0 = goes_on;
        for problem in problems.iter().filter(|problem| now - problem.since >= LASTING) {
            self.0.entry(id_of(problem)).or_insert_with(|| anomaly(problem, now));
        }
        let reported = self.0.values().chain(over.values());
        reported.map(|failure| (rule(failure, channels), facts(failure))).unzip()
    }
}

fn id_of(problem: &Problem) -> String {
    format!("{RULE}/{}/{}", problem.component, problem.since.timestamp())
}

fn anomaly(problem: &Problem, now: Timestamp) -> Anomaly {
    let Problem { component, reason, since } = problem;
    let minutes = (now - *since).num_minutes();
    Anomaly {
        id: id_of(problem),
        // With its beginning, so that a failure that comes back is reported again.
        topic: format!("{RULE}: {component} since {}", since.format("%Y-%m-%d %H:%M:%S UTC")),
        category: None,
        slice: None,
        interval_s: 60,
        onset: *since,
        end: None,
        observed: 0.0,
        expected: 0.0,
        lower: 0.0,
        upper: 0.0,
        score: 1.0,
        severity: Severity::Critical,
        sentence: format!("Overheard itself: *{component}* has been failing for {minutes} minutes: {reason}."),
        drivers: Vec::new(),
        examples: Vec::new(),
        detected_at: now,
    }
}

fn rule(failure: &Anomaly, channels: &[String]) -> AlertRule {
    AlertRule {
        name: RULE.into(),
        topic: Some(failure.topic.clone()),
        condition: Condition::Anomaly { severity_min: Severity::Critical },
        channels: channels.to_vec(),
        cooldown_s: 0,
        quiet_hours: None,
        enabled: true,
    }
}

fn facts(failure: &Anomaly) -> Facts {
    Facts { topic: Some(failure.topic.clone()), anomalies: vec![failure.clone()], ..Facts::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::AlertBook;
    use crate::life::Policy;
    use domain::Health;
    use state::MemoryState;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_lasting_failure_is_reported_once_and_so_is_its_end() {
        let book = AlertBook::new(Arc::new(MemoryState::default()), Policy::default());
        let (health, mut components) = (Health::default(), ComponentAlerts::default());
        let (began, channels) =
            (Timestamp::UNIX_EPOCH + TimeDelta::days(20_000), ["log".to_owned(), "pager".to_owned()]);
        let mut told = Vec::new();
        for minute in 0..60 {
            let now = began + TimeDelta::minutes(minute);
            match minute {
                10..20 | 30..40 => health.failed("watch", "the lake can't be read", now),
                22 => health.failed("queue", "for a moment", now),
                _ => ["watch", "queue"].iter().for_each(|component| health.recovered(component)),
            }
            let (rules, facts) = components.look(&health.problems(), &channels, now);
            book.observe(&rules, &facts, now).await.unwrap();
            let waiting = book.outbox().entries().await.unwrap().len();
            if told.last().is_none_or(|(_, before)| *before != waiting) {
                told.push((minute, waiting));
            }
        }
        assert_eq!(told, [(0, 0), (13, 2), (20, 4), (33, 6), (40, 8)]);
        let entries = book.outbox().entries().await.unwrap();
        let opened = entries.iter().find(|entry| entry.notification.kind == "opened").unwrap();
        assert!(
            opened.notification.alert.title.contains("*watch* has been failing for 3 minutes: the lake can't be read")
        );
    }
}
