//! Gathers the facts that alert rules are judged by, for each rule by itself: a rule that can't be answered stops no other.
//! What is known of a rule is kept in a document: its last error, which the page shows, and what need
//! not be asked again.

use crate::facts::{Facts, WindowFacts};
use crate::past::SlidingWindows;
use chrono::TimeDelta;
use domain::{AlertRule, Condition, Error, Health, Result, RuleHistory, StateStore, TimeRange, Timestamp, seconds};
use serde::{Deserialize, Serialize};
use state::{Documents, Kind};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tracing::warn;

/// First mentions older than this are imported history: no one is notified.
const HISTORY: TimeDelta = TimeDelta::hours(24);
/// A post becomes visible some time after it was enriched: each look reaches this far behind the last one.
const OVERLAP: TimeDelta = TimeDelta::hours(6);
/// The last look is noted only this often: each note is a write.
const NOTE_EVERY: TimeDelta = TimeDelta::hours(1);
/// A source's posts are received within this after they were published.
const DELAY: TimeDelta = TimeDelta::days(7);
/// A rule that failed is tried again after a minute, doubled each time up to an hour.
const BACKOFF_FIRST_S: u64 = 60;
const BACKOFF_LONGEST_S: u64 = 3600;

/// What is known of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct RuleState {
    /// What it was learned for: another condition begins anew.
    asked: String,
    /// The first mention of the phrase.
    first: Option<Timestamp>,
    /// Texts enriched before this were searched for the phrase.
    looked_until: Option<Timestamp>,
    /// When the source last brought a post, kept once it is silent.
    last_received_at: Option<Timestamp>,
    problem: Option<Problem>,
}

impl RuleState {
    /// What is kept of a rule, if it still is what it was learned for.
    fn of(rule: &AlertRule, kept: Option<Self>) -> Self {
        let asked = format!("{:?} {:?}", rule.topic, rule.condition);
        kept.filter(|kept| kept.asked == asked).unwrap_or(Self { asked, ..Self::default() })
    }
}

/// Why a rule can't be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Problem {
    since: Timestamp,
    reason: String,
    tries: u32,
    retry_at: Timestamp,
}

fn documents(state: &dyn StateStore) -> Documents<'_, RuleState> {
    Documents::new(state, Kind::RuleState)
}

/// The rules that can't be judged at the moment, by name, with a sentence each.
pub async fn rule_problems(state: &dyn StateStore) -> Result<HashMap<String, String>> {
    let states = documents(state).list_readable().await?.into_iter();
    let read = states.filter_map(|stored| Some((stored.key, stored.value.problem?)));
    let sentence = |problem: Problem| {
        format!("can't be judged since {}: {}", problem.since.format("%Y-%m-%d %H:%M UTC"), problem.reason)
    };
    Ok(read.map(|(name, problem)| (name, sentence(problem))).collect())
}

/// Gathers facts.
pub(crate) struct Gatherer {
    history: Arc<dyn RuleHistory>,
    state: Arc<dyn StateStore>,
    health: Arc<Health>,
}

/// Windows that were counted in this round: several rules often share one.
type WindowsAsked = HashMap<(Option<String>, u64), std::result::Result<WindowFacts, String>>;

impl Gatherer {
    pub(crate) fn new(history: Arc<dyn RuleHistory>, state: Arc<dyn StateStore>, health: Arc<Health>) -> Self {
        Self { history, state, health }
    }

    /// The facts of all rules that can be asked now, by topic.
    pub(crate) async fn gather(&self, rules: &[AlertRule], now: Timestamp) -> Result<Vec<Facts>> {
        let documents = documents(self.state.as_ref());
        let known = documents.list_or_set_aside().await?.into_iter();
        let mut known: HashMap<String, RuleState> = known.map(|stored| (stored.key, stored.value)).collect();
        let mut facts: BTreeMap<Option<String>, Facts> = BTreeMap::new();
        let mut windows = WindowsAsked::new();
        let (mut asked, mut failure) = (0, None);
        let asking = |rule: &&AlertRule| rule.enabled && !matches!(rule.condition, Condition::Anomaly { .. });
        for rule in rules.iter().filter(asking) {
            let before = RuleState::of(rule, known.remove(&rule.name));
            let mut state = before.clone();
            if let Some(problem) = state.problem.as_ref().filter(|problem| problem.retry_at > now) {
                failure = Some(format!("{}: {}", rule.name, problem.reason));
                continue;
            }
            let topic = rule.topic.clone();
            let entry = facts.entry(topic).or_insert_with(|| Facts::of_rule(rule));
            asked += 1;
            match self.ask(rule, &mut state, &mut windows, entry, now).await {
                Ok(()) => state.problem = None,
                Err(error) => {
                    warn!(rule = rule.name, %error, "an alert rule can't be judged; the others are");
                    state.problem = Some(next_problem(state.problem, &error, now));
                    failure = Some(format!("{}: {error}", rule.name));
                    asked -= 1;
                }
            }
            if state != before {
                documents.put(&rule.name, &state).await?;
            }
        }
        // Of rules that are no more.
        for name in known.keys().filter(|name| rules.iter().all(|rule| rule.name != **name)) {
            documents.delete(name).await?;
        }
        match failure {
            // One rule that asks too much concerns its author; if none can be judged, something is wrong.
            Some(failure) if asked == 0 => self.health.failed("alert rules", failure, now),
            _ => self.health.recovered("alert rules"),
        }
        Ok(facts.into_values().collect())
    }

    async fn ask(
        &self,
        rule: &AlertRule,
        state: &mut RuleState,
        windows: &mut WindowsAsked,
        facts: &mut Facts,
        now: Timestamp,
    ) -> Result<()> {
        let topic = rule.topic.as_deref();
        match &rule.condition {
            Condition::Anomaly { .. } => {}
            Condition::Threshold { window_s, .. }
            | Condition::Change { window_s, .. }
            | Condition::NegativeShare { window_s, .. } => {
                let key = (rule.topic.clone(), *window_s);
                if !windows.contains_key(&key) {
                    let counted = self.window(topic, *window_s, now).await.map_err(|error| error.to_string());
                    facts.windows.extend(counted.as_ref().ok().copied());
                    windows.insert(key.clone(), counted);
                }
                if let Some(Err(reason)) = windows.get(&key) {
                    return Err(Error::retry(reason));
                }
            }
            Condition::FirstMention { phrase } => {
                if state.first.is_none() {
                    let enriched_since = state.looked_until.map(|at| at - OVERLAP);
                    state.first = self.history.first_mention(topic, phrase, enriched_since).await?;
                    let is_old = |at: &Timestamp| now - *at >= NOTE_EVERY;
                    state.looked_until = state.looked_until.filter(|at| !is_old(at)).or(Some(now));
                }
                let first = state.first.filter(|at| now - *at < HISTORY);
                first.into_iter().for_each(|at| facts.add_first_mention(phrase, at));
            }
            Condition::Silence { source, silent_s } => {
                let silent = seconds(*silent_s);
                let seen = self.history.last_received(source, now - silent - DELAY).await?.max(state.last_received_at);
                state.last_received_at = seen.filter(|at| now - *at >= silent);
                seen.into_iter().for_each(|at| facts.add_source(source, at));
            }
        }
        Ok(())
    }

    /// The window that ends now.
    async fn window(&self, topic: Option<&str>, window_s: u64, now: Timestamp) -> Result<WindowFacts> {
        let within = TimeRange { from: now, to: now };
        let windows = SlidingWindows::read(self.history.as_ref(), topic, window_s, 1, within).await?;
        Ok(windows.facts().last().map(|(_, facts)| facts).unwrap_or_default())
    }
}

fn next_problem(before: Option<Problem>, error: &Error, now: Timestamp) -> Problem {
    let (since, tries) = before.map_or((now, 0), |before| (before.since, before.tries.saturating_add(1)));
    let wait = BACKOFF_FIRST_S.saturating_mul(1 << tries.min(10)).min(BACKOFF_LONGEST_S);
    Problem { since, reason: error.to_string(), tries, retry_at: now + seconds(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use domain::{Anomaly, WindowCount, Windows};
    use state::MemoryState;
    use std::sync::Mutex;

    /// A store of posts that fails on questions about one phrase and remembers all of them.
    #[derive(Default)]
    struct Asked {
        questions: Mutex<Vec<String>>,
        first_mention: Mutex<Option<Timestamp>>,
    }

    impl Asked {
        fn note(&self, question: String) {
            self.questions.lock().unwrap().push(question);
        }
    }

    #[async_trait]
    impl RuleHistory for Asked {
        async fn window_counts(&self, _: Option<&str>, windows: Windows) -> Result<Vec<WindowCount>> {
            self.note(format!("{windows:?}"));
            let window = |mentions, negative| WindowCount { mentions, negative };
            Ok(vec![window(40, 0), window(120, 90)])
        }
        async fn first_mention(
            &self,
            _: Option<&str>,
            phrase: &str,
            enriched_since: Option<Timestamp>,
        ) -> Result<Option<Timestamp>> {
            self.note(format!("first mention since {enriched_since:?}"));
            match phrase {
                "too much" => Err(Error::reject("more than 120 s: narrow the time range")),
                _ => Ok(*self.first_mention.lock().unwrap()),
            }
        }
        async fn last_received(&self, _: &str, since: Timestamp) -> Result<Option<Timestamp>> {
            self.note(format!("last received since {since}"));
            Ok(Some(noon() - TimeDelta::hours(2)))
        }
        async fn received(&self, _: &str, _: TimeRange) -> Result<Vec<Timestamp>> {
            Ok(Vec::new())
        }
        async fn anomalies(&self, _: Option<&str>, _: TimeRange) -> Result<Vec<Anomaly>> {
            Ok(Vec::new())
        }
    }

    fn noon() -> Timestamp {
        "2026-03-02T12:00:00Z".parse().unwrap()
    }

    fn rule(name: &str, condition: Condition) -> AlertRule {
        AlertRule {
            name: name.into(),
            topic: None,
            condition,
            channels: Vec::new(),
            cooldown_s: 0,
            quiet_hours: None,
            enabled: true,
        }
    }

    fn first(phrase: &str) -> AlertRule {
        rule(phrase, Condition::FirstMention { phrase: phrase.into() })
    }

    struct Setting {
        asked: Arc<Asked>,
        facts: Gatherer,
        state: Arc<dyn StateStore>,
        health: Arc<Health>,
    }

    fn setting() -> Setting {
        let (asked, state, health) =
            (Arc::<Asked>::default(), Arc::new(MemoryState::default()), Arc::<Health>::default());
        let facts = Gatherer::new(asked.clone(), state.clone(), health.clone());
        Setting { asked, facts, state, health }
    }

    #[tokio::test]
    async fn a_rule_that_cant_be_judged_stops_no_other_and_says_so() {
        let Setting { asked, facts, state, health } = setting();
        let rules = [first("too much"), rule("many", Condition::Threshold { mentions_min: 100, window_s: 3600 })];
        let gathered = facts.gather(&rules, noon()).await.unwrap();
        let window = WindowFacts { window_s: 3600, mentions: 120, mentions_before: 40, negative: 90 };
        assert_eq!(gathered[0].windows, [window]);
        let problems = rule_problems(state.as_ref()).await.unwrap();
        assert!(problems["too much"].contains("since 2026-03-02 12:00 UTC: more than 120 s"), "{problems:?}");
        assert!(health.problems().is_empty(), "one rule concerns its author");
        let questions = asked.questions.lock().unwrap().len();
        facts.gather(&rules, noon() + TimeDelta::seconds(30)).await.unwrap();
        assert_eq!(asked.questions.lock().unwrap().len(), questions + 1, "the one that fails waits");
        facts.gather(&rules[..1], noon() + TimeDelta::seconds(90)).await.unwrap();
        assert_eq!(health.problems().len(), 1, "no rule at all can be judged");
    }

    #[tokio::test]
    async fn a_first_mention_is_looked_for_in_what_is_new_and_not_at_all_once_it_is_known() {
        let Setting { asked, facts, .. } = setting();
        let rules = [first("recall")];
        for _ in 0..2 {
            assert!(facts.gather(&rules, noon()).await.unwrap()[0].first_mentions.is_empty());
        }
        *asked.first_mention.lock().unwrap() = Some(noon() - TimeDelta::minutes(1));
        for _ in 0..3 {
            assert_eq!(facts.gather(&rules, noon()).await.unwrap()[0].first_mentions.len(), 1);
        }
        let since = format!("first mention since {:?}", Some(noon() - OVERLAP));
        let questions = asked.questions.lock().unwrap();
        assert_eq!(*questions, ["first mention since None", &since, &since], "all texts once, then the new ones");
    }

    #[tokio::test]
    async fn a_silence_is_looked_for_within_bounds() {
        let Setting { asked, facts, .. } = setting();
        let rules = [rule("x", Condition::Silence { source: "x".into(), silent_s: 3600 })];
        let gathered = facts.gather(&rules, noon()).await.unwrap();
        assert_eq!(gathered[0].sources[0].last_received_at, noon() - TimeDelta::hours(2));
        assert_eq!(*asked.questions.lock().unwrap(), ["last received since 2026-02-23 11:00:00 UTC"]);
    }
}
