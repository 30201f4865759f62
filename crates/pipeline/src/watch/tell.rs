//! What was noticed and is to be told: every change is stored and handed to the listener within seconds, with its
//! explanation if that could be had so soon. Else it is told by its numbers, and once more, under the same id, when the
//! explanation is there. Explaining happens beside the counting, one anomaly at a time, so that neither its cost nor its
//! failure touches detection.

use super::Watch;
use chrono::{Duration, TimeDelta};
use detect::{Change, Explanation};
use domain::{IncidentScope, Result, SeriesKey, TimeRange, Timestamp, WatchHistory};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

/// About so many posts of an incident, and of its baseline, are read to explain it (about 500 bytes each).
const POSTS_MAX: u32 = 15_000;
const BASELINE_POSTS_MAX: u32 = 40_000;
/// Posts from which examples are chosen.
const EXAMPLES_MAX: usize = 400;
/// Anomalies that wait to be explained; more are told by their numbers alone.
const EXPLAINING_MAX: usize = 1_000;
/// One explanation may take so long.
const EXPLAINING_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);
/// Incidents that ended longer ago are explained after those of now, and forgotten here.
const HISTORY: TimeDelta = TimeDelta::days(2);

/// An anomaly as far as it is told or about to be.
struct Known {
    key: SeriesKey,
    change: Change,
    interval_s: u32,
    /// The newest; it may be of an interval before.
    explanation: Option<Explanation>,
    explaining: Option<AbortHandle>,
}

impl Known {
    fn is_over(&self) -> bool {
        self.change.is_over()
    }
}

/// One explanation that is done.
struct Explained {
    id: String,
    change: Change,
    outcome: Result<Explanation>,
}

/// Anomalies on their way to people.
pub(super) struct Telling {
    known: BTreeMap<String, Known>,
    /// To be stored and handed on.
    due: BTreeSet<String>,
    explaining: JoinSet<Explained>,
    /// One at a time of now, and one of history.
    turns: [Arc<Semaphore>; 2],
}

impl Telling {
    pub(super) fn new() -> Self {
        Self {
            known: BTreeMap::new(),
            due: BTreeSet::new(),
            explaining: JoinSet::new(),
            turns: [Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1))],
        }
    }

    /// Takes in a change, unless it is known. `stored`: the ends of anomalies that the lake holds explained.
    pub(super) fn note(
        &mut self,
        watch: &Watch,
        key: SeriesKey,
        change: Change,
        interval_s: u32,
        stored: &HashMap<String, Timestamp>,
    ) {
        let id = detect::anomaly_id(&key, interval_s, change.incident());
        let before = self.known.remove(&id);
        if before.as_ref().is_some_and(|known| known.change == change) {
            self.known.extend(before.map(|known| (id, known)));
            return;
        }
        let mut known = Known { key, change, interval_s, explanation: None, explaining: None };
        // The end of an incident is explained by what explains its last interval.
        let mut is_explained = false;
        if let Some(before) = before {
            let has_one = before.explaining.is_some() || before.explanation.is_some();
            is_explained = has_one && before.change.incident() == change.incident();
            known.explanation = before.explanation;
            match before.explaining {
                Some(explaining) if is_explained => known.explaining = Some(explaining),
                Some(explaining) => explaining.abort(),
                None => {}
            }
        }
        let is_told = known.is_over() && stored.get(&id) == Some(&end_of(&known));
        if !is_told {
            if !is_explained {
                known.explaining = self.explain(watch, &id, &known);
            }
            self.due.insert(id.clone());
        }
        self.known.insert(id, known);
    }

    fn explain(&mut self, watch: &Watch, id: &str, known: &Known) -> Option<AbortHandle> {
        if self.explaining.len() >= EXPLAINING_MAX {
            warn!(anomaly.id = id, "too many anomalies to explain them all; this one has its numbers alone");
            return None;
        }
        let (history, id, key, change) = (watch.history.clone(), id.to_owned(), known.key.clone(), known.change);
        let range = TimeRange { from: change.incident().onset, to: end_of(known) };
        let is_history = known.is_over() && watch.clock.now() - range.to > HISTORY;
        let turn = self.turns[usize::from(is_history)].clone();
        Some(self.explaining.spawn(async move {
            let _turn = turn.acquire().await;
            let expected = change.incident().expected_total;
            let explained = explanation(history.as_ref(), key, range, expected);
            let outcome = tokio::time::timeout(EXPLAINING_LIMIT, explained).await;
            let outcome = outcome.unwrap_or_else(|_| Err(domain::Error::retry("explaining it took too long")));
            Explained { id, change, outcome }
        }))
    }

    /// Ends what is told as going on and is no incident any more, now that posts which came late are counted.
    pub(super) fn withdraw(&mut self, interval_s: u32, going_on: &BTreeSet<String>) {
        for (id, known) in &mut self.known {
            if known.interval_s == interval_s && !known.is_over() && !going_on.contains(id) {
                known.change = Change::Ended(*known.change.incident());
                self.due.insert(id.clone());
            }
        }
    }

    /// Stores and hands on what is due, after a short wait for explanations. What fails stays due.
    pub(super) async fn tell(&mut self, watch: &Watch) -> Result<()> {
        while let Some(done) = self.explaining.try_join_next() {
            self.take(done.ok());
        }
        let deadline = Instant::now() + watch.config.explain_within;
        while self.due.iter().any(|id| self.is_awaited(id)) {
            let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.explaining.join_next()).await else { break };
            self.take(done.ok());
        }
        if self.due.is_empty() {
            return Ok(());
        }
        let now = watch.clock.now();
        let due = self.due.iter().filter_map(|id| self.known.get(id));
        let anomalies: Vec<_> = due
            .map(|one| {
                let (explanation, zone) = (one.explanation.as_ref(), watch.config.time_zone);
                detect::anomaly(&one.key, &one.change, one.interval_s, explanation, zone, now)
            })
            .collect();
        watch.lake.put_anomalies(anomalies.clone()).await?;
        info!(anomalies = anomalies.len(), "anomalies opened, grown, ended or explained");
        watch.listener.observe(anomalies, now).await?;
        self.due.clear();
        self.known.retain(|_, known| !known.is_over() || known.explaining.is_some() || now - end_of(known) < HISTORY);
        Ok(())
    }

    fn is_awaited(&self, id: &str) -> bool {
        self.known.get(id).is_some_and(|known| known.explaining.is_some() && known.explanation.is_none())
    }

    /// An explanation that is superseded or failed changes nothing.
    fn take(&mut self, done: Option<Explained>) {
        let Some(Explained { id, change, outcome }) = done else { return };
        let Some(known) = self.known.get_mut(&id) else { return };
        if known.change.incident() != change.incident() {
            return;
        }
        known.explaining = None;
        match outcome {
            Ok(explanation) => {
                known.explanation = Some(explanation);
                self.due.insert(id);
            }
            Err(error) => {
                metrics::counter!("overheard_watch_unexplained_total").increment(1);
                warn!(anomaly.id = id, %error, "an anomaly could not be explained; its numbers are told");
            }
        }
    }
}

fn end_of(known: &Known) -> Timestamp {
    known.change.incident().last + Duration::seconds(i64::from(known.interval_s))
}

async fn explanation(
    history: &dyn WatchHistory,
    series: SeriesKey,
    range: TimeRange,
    expected: f64,
) -> Result<Explanation> {
    let scope = IncidentScope {
        series,
        range,
        baseline: detect::BASELINE,
        posts_max: POSTS_MAX,
        baseline_posts_max: BASELINE_POSTS_MAX,
        examples_max: EXAMPLES_MAX,
    };
    let evidence = history.evidence(&scope).await?;
    Ok(detect::explain_incident(&scope, evidence, expected))
}
