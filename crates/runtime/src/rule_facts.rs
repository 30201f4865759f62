//! The facts that alert rules are judged by, asked from the lake for each rule by itself: a rule that can't be asked
//! stops no other. What is known of a rule is kept in a document (kind `rule_state`): its last error, which the page
//! shows, and what need not be asked again.

use alerts::{Facts, SourceFacts, WindowFacts};
use chrono::TimeDelta;
use domain::{ALL_POSTS, SeriesKey};
use domain::{AlertRule, Analytics, Condition, Error, Health, QueryLimits, Result, StateStore, Timestamp, seconds};
use pipeline::watch::counts::{Stretch, literal, of_series};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

const KIND: &str = "rule_state";
/// What was first said longer ago is history brought in, and nobody is told.
const HISTORY: TimeDelta = TimeDelta::hours(24);
/// A post becomes visible some time after it was understood: so far before the last look is looked again.
const OVERLAP: TimeDelta = TimeDelta::hours(6);
/// The last look is noted only so often: each note is a write.
const NOTE_EVERY: TimeDelta = TimeDelta::hours(1);
/// A source's posts are received within this after they were written.
const DELAY: TimeDelta = TimeDelta::days(7);
/// The first look for a phrase reads all texts; the others a few hours of them.
const FIRST_LOOK: QueryLimits = QueryLimits { rows_max: 1, timeout: Duration::from_secs(120) };
const LIMITS: QueryLimits = QueryLimits { rows_max: 1, timeout: Duration::from_secs(10) };
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
    /// Texts understood before this were looked through for the phrase.
    looked_until: Option<Timestamp>,
    /// The last sign of life of the source, kept once it is silent.
    last_received_at: Option<Timestamp>,
    problem: Option<Problem>,
}

impl RuleState {
    /// What is kept of a rule, if it still is what it was learned for.
    fn of(rule: &AlertRule, document: Option<serde_json::Value>) -> Self {
        let asked = format!("{:?} {:?}", rule.topic, rule.condition);
        let kept = document.and_then(|document| Self::deserialize(document).ok());
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

/// The rules that can't be judged at the moment, by name, with a sentence each.
pub(crate) async fn problems(state: &dyn StateStore) -> Result<HashMap<String, String>> {
    let documents = state.list(KIND).await?.into_iter();
    let read = documents.filter_map(|(name, document)| Some((name, RuleState::deserialize(document).ok()?.problem?)));
    let sentence = |problem: Problem| {
        format!("can't be judged since {}: {}", problem.since.format("%Y-%m-%d %H:%M UTC"), problem.reason)
    };
    Ok(read.map(|(name, problem)| (name, sentence(problem))).collect())
}

/// Gathers facts.
pub(crate) struct RuleFacts {
    lake: Arc<dyn Analytics>,
    state: Arc<dyn StateStore>,
    health: Arc<Health>,
}

/// Windows that were asked in this round: several rules often share one.
type Windows = HashMap<(Option<String>, u64), std::result::Result<WindowFacts, String>>;

impl RuleFacts {
    pub(crate) fn new(lake: Arc<dyn Analytics>, state: Arc<dyn StateStore>, health: Arc<Health>) -> Self {
        Self { lake, state, health }
    }

    /// The facts of all rules that can be asked now, by topic.
    pub(crate) async fn gather(&self, rules: &[AlertRule], now: Timestamp) -> Result<Vec<Facts>> {
        let mut known: HashMap<String, serde_json::Value> = self.state.list(KIND).await?.into_iter().collect();
        let mut facts: BTreeMap<Option<String>, Facts> = BTreeMap::new();
        let (mut windows, mut asked, mut failure) = (Windows::new(), 0, None);
        let asking = |rule: &&AlertRule| rule.enabled && !matches!(rule.condition, Condition::Anomaly { .. });
        for rule in rules.iter().filter(asking) {
            let before = RuleState::of(rule, known.remove(&rule.name));
            let mut state = before.clone();
            if let Some(problem) = state.problem.as_ref().filter(|problem| problem.retry_at > now) {
                failure = Some(format!("{}: {}", rule.name, problem.reason));
                continue;
            }
            let topic = rule.topic.clone();
            let entry = facts.entry(topic.clone()).or_insert_with(|| Facts { topic, ..Facts::default() });
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
                self.save(&rule.name, &state).await?;
            }
        }
        // Of rules that are no more.
        for name in known.keys().filter(|name| rules.iter().all(|rule| rule.name != **name)) {
            self.state.delete(KIND, name).await?;
        }
        match failure {
            // One rule that asks too much is its author's trouble; when none can be judged, something is wrong.
            Some(failure) if asked == 0 => self.health.failed("alert rules", failure, now),
            _ => self.health.recovered("alert rules"),
        }
        Ok(facts.into_values().collect())
    }

    async fn save(&self, rule: &str, state: &RuleState) -> Result<()> {
        let document = serde_json::to_value(state);
        let document =
            document.map_err(|error| Error::reject(format!("the state of a rule can't be written: {error}")))?;
        self.state.put(KIND, rule, document).await
    }

    async fn ask(
        &self,
        rule: &AlertRule,
        state: &mut RuleState,
        windows: &mut Windows,
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
                    state.first = first_mention(self.lake.as_ref(), topic, phrase, state.looked_until).await?;
                    let is_old = |at: &Timestamp| now - *at >= NOTE_EVERY;
                    state.looked_until = state.looked_until.filter(|at| !is_old(at)).or(Some(now));
                }
                let first = state.first.filter(|at| now - *at < HISTORY);
                facts.first_mentions.extend(first.map(|at| (phrase.clone(), at)));
            }
            Condition::Silence { source, silent_s } => {
                let silent = seconds(*silent_s);
                let seen = self.sign_of_life(source, now - silent - DELAY).await?.max(state.last_received_at);
                state.last_received_at = seen.filter(|at| now - *at >= silent);
                let fact = |last_received_at| SourceFacts { source: source.clone(), last_received_at };
                facts.sources.extend(seen.map(fact));
            }
        }
        Ok(())
    }

    async fn window(&self, topic: Option<&str>, window_s: u64, now: Timestamp) -> Result<WindowFacts> {
        let length = seconds(window_s);
        let (begin, before) = (now - length, now - length - length);
        let inside = format!("occurred_at >= {}", time(begin));
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {inside}), count(*) FILTER (WHERE NOT {inside}), \
                    count(*) FILTER (WHERE {inside} AND sentiment = 'negative') \
             FROM sentiment WHERE {} AND {}",
            Stretch { from: before, to: now }.condition(),
            of_series(&series(topic)),
        );
        let row = self.lake.query(&sql, LIMITS).await?.rows.into_iter().next().unwrap_or_default();
        let number = |index: usize| row.get(index).and_then(serde_json::Value::as_u64).unwrap_or(0);
        Ok(WindowFacts { window_s, mentions: number(0), mentions_before: number(1), negative: number(2) })
    }

    async fn sign_of_life(&self, source: &str, since: Timestamp) -> Result<Option<Timestamp>> {
        let sql = format!(
            "SELECT max(received_at) FROM raw WHERE source = {} AND received_at >= {since} AND occurred_at >= {since}",
            literal(source),
            since = time(since),
        );
        first_moment(self.lake.as_ref(), &sql, LIMITS).await
    }
}

/// The first mention of a phrase, ever or among the texts that were understood after `looked_until`.
pub(crate) async fn first_mention(
    lake: &dyn Analytics,
    topic: Option<&str>,
    phrase: &str,
    looked_until: Option<Timestamp>,
) -> Result<Option<Timestamp>> {
    let words = phrase.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let since = |at: Timestamp| {
        let (enriched, occurred) = (time(at - OVERLAP), time(at - OVERLAP - HISTORY));
        format!(" AND enriched_at >= {enriched} AND occurred_at >= {occurred}")
    };
    let sql = format!(
        "SELECT min(occurred_at) FROM sentiment WHERE text ILIKE {} AND {}{}",
        literal(&format!("%{words}%")),
        of_series(&series(topic)),
        looked_until.map(since).unwrap_or_default(),
    );
    first_moment(lake, &sql, if looked_until.is_some() { LIMITS } else { FIRST_LOOK }).await
}

async fn first_moment(lake: &dyn Analytics, sql: &str, limits: QueryLimits) -> Result<Option<Timestamp>> {
    let rows = lake.query(sql, limits).await?.rows;
    rows.first().and_then(|row| row.first()?.as_str()).map(pipeline::moment).transpose()
}

fn next_problem(before: Option<Problem>, error: &Error, now: Timestamp) -> Problem {
    let (since, tries) = before.map_or((now, 0), |before| (before.since, before.tries.saturating_add(1)));
    let wait = BACKOFF_FIRST_S.saturating_mul(1 << tries.min(10)).min(BACKOFF_LONGEST_S);
    Problem { since, reason: error.to_string(), tries, retry_at: now + seconds(wait) }
}

fn time(at: Timestamp) -> String {
    format!("TIMESTAMP '{}'", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

fn series(topic: Option<&str>) -> SeriesKey {
    SeriesKey::whole(topic.unwrap_or(ALL_POSTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use domain::Rows;
    use serde_json::{Value, json};
    use state::MemoryState;
    use std::sync::Mutex;

    /// A lake that fails on questions about one phrase and remembers all of them.
    #[derive(Default)]
    struct Asked {
        questions: Mutex<Vec<String>>,
        first_mention: Mutex<Value>,
    }

    #[async_trait]
    impl Analytics for Asked {
        async fn query(&self, sql: &str, _: QueryLimits) -> Result<Rows> {
            self.questions.lock().unwrap().push(sql.to_owned());
            let row = match sql {
                sql if sql.contains("too much") => return Err(Error::reject("more than 120 s: narrow the time range")),
                sql if sql.contains("ILIKE") => vec![self.first_mention.lock().unwrap().clone()],
                sql if sql.contains("received_at") => vec![json!("2026-03-02T10:00:00Z")],
                _ => vec![json!(120), json!(40), json!(90)],
            };
            Ok(Rows { rows: vec![row], ..Rows::default() })
        }
        fn version(&self) -> u64 {
            0
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
        facts: RuleFacts,
        state: Arc<dyn StateStore>,
        health: Arc<Health>,
    }

    fn setting() -> Setting {
        let (asked, state, health) =
            (Arc::<Asked>::default(), Arc::new(MemoryState::default()), Arc::<Health>::default());
        let facts = RuleFacts::new(asked.clone(), state.clone(), health.clone());
        Setting { asked, facts, state, health }
    }

    #[tokio::test]
    async fn a_rule_that_cant_be_judged_stops_no_other_and_says_so() {
        let Setting { asked, facts, state, health } = setting();
        let rules = [first("too much"), rule("many", Condition::Threshold { mentions_min: 100, window_s: 3600 })];
        let gathered = facts.gather(&rules, noon()).await.unwrap();
        assert_eq!(gathered[0].windows[0].mentions, 120);
        let problems = problems(state.as_ref()).await.unwrap();
        assert!(problems["too much"].contains("since 2026-03-02 12:00 UTC: more than 120 s"), "{problems:?}");
        assert!(health.problems().is_empty(), "one rule is its author's trouble");
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
        *asked.first_mention.lock().unwrap() = json!("2026-03-02T11:59:00Z");
        for _ in 0..3 {
            assert_eq!(facts.gather(&rules, noon()).await.unwrap()[0].first_mentions.len(), 1);
        }
        let bounded = |sql: &String| sql.contains("enriched_at >= ") && sql.contains("occurred_at >= ");
        let questions: Vec<bool> = asked.questions.lock().unwrap().iter().map(bounded).collect();
        assert_eq!(questions, [false, true, true], "all texts once, then the new ones until it is found");
    }

    #[tokio::test]
    async fn a_silence_is_looked_for_within_bounds() {
        let Setting { asked, facts, .. } = setting();
        let rules = [rule("x", Condition::Silence { source: "x".into(), silent_s: 3600 })];
        let gathered = facts.gather(&rules, noon()).await.unwrap();
        assert_eq!(gathered[0].sources[0].last_received_at, noon() - TimeDelta::hours(2));
        assert!(asked.questions.lock().unwrap()[0].contains("received_at >= TIMESTAMP '2026-02-23T11:00:00.000000Z'"));
    }
}
