//! What rules are judged by, read from the stored posts: the same for a rule that is judged now and for one that is tried
//! on history.

use crate::facts::{Facts, SourceFacts, WindowFacts};
use chrono::TimeDelta;
use domain::{AlertRule, Anomaly, Result, RuleHistory, TimeRange, Timestamp, WindowCount, Windows, seconds};
use std::collections::BTreeMap;

/// Counts of windows that slide over a range of time.
pub(crate) struct SlidingWindows {
    window_s: u64,
    /// How far a window moves on, and how many such steps it is long.
    step: TimeDelta,
    steps: usize,
    begin: Timestamp,
    counts: Vec<WindowCount>,
}

impl SlidingWindows {
    /// Reads the windows that end between two moments, each with the window before it. A window moves on by a `steps`th
    /// of its length.
    pub(crate) async fn read(
        history: &dyn RuleHistory,
        topic: Option<&str>,
        window_s: u64,
        steps: u32,
        within: TimeRange,
    ) -> Result<Self> {
        let step_s = (window_s / u64::from(steps.max(1))).max(1);
        let (step, before) = (seconds(step_s), 2 * u64::from(steps));
        let moves = u64::try_from((within.to - within.from).num_seconds()).unwrap_or(0) / step_s;
        let begin = within.from - seconds(before * step_s);
        let count = usize::try_from(before + moves).unwrap_or(usize::MAX);
        let counts = history.window_counts(topic, Windows { from: begin, length: step, count }).await?;
        Ok(Self { window_s, step, steps: steps as usize, begin, counts })
    }

    /// The window that ends at each moment.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (Timestamp, WindowFacts)> + '_ {
        let mentions = |counts: &[WindowCount]| counts.iter().map(|count| count.mentions).sum();
        (2 * self.steps..=self.counts.len()).map(move |end| {
            let (before, window) = self.counts[end - 2 * self.steps..end].split_at(self.steps);
            let facts = WindowFacts {
                window_s: self.window_s,
                mentions: mentions(window),
                mentions_before: mentions(before),
                negative: window.iter().map(|count| count.negative).sum(),
            };
            (self.begin + self.step * i32::try_from(end).unwrap_or(i32::MAX), facts)
        })
    }
}

impl Facts {
    /// No facts yet about the topic of a rule.
    pub(crate) fn of_rule(rule: &AlertRule) -> Self {
        Self { topic: rule.topic.clone(), ..Self::default() }
    }

    /// Anomalies by topic.
    pub(crate) fn of_anomalies(anomalies: impl IntoIterator<Item = Anomaly>) -> Vec<Self> {
        let mut by_topic: BTreeMap<String, Self> = BTreeMap::new();
        for anomaly in anomalies {
            let topic = Some(anomaly.topic.clone());
            let facts = by_topic.entry(anomaly.topic.clone()).or_insert_with(|| Self { topic, ..Self::default() });
            facts.anomalies.push(anomaly);
        }
        by_topic.into_values().collect()
    }

    pub(crate) fn add_first_mention(&mut self, phrase: &str, at: Timestamp) {
        self.first_mentions.push((phrase.to_owned(), at));
    }

    pub(crate) fn add_source(&mut self, source: &str, last_received_at: Timestamp) {
        self.sources.push(SourceFacts { source: source.to_owned(), last_received_at });
    }
}
