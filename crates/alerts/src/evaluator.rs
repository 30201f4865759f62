//! Judges the alert rules: by the anomalies that the watch reports, and every half minute by everything else. One caller
//! at a time passes facts on to the book.

use crate::book::AlertBook;
use crate::component_alerts::ComponentAlerts;
use crate::facts::Facts;
use crate::gather::Gatherer;
use crate::rules::Rules;
use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{AlertRule, Anomaly, AnomalyListener, Clock, Health, PostTable, Result, RuleHistory, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Incidents that ended longer ago are imported history: they are recorded and no one is notified.
const HISTORY: TimeDelta = TimeDelta::hours(24);
/// How often rules that need no anomaly (thresholds, silence, first mentions) are judged.
const JUDGE_EVERY: Duration = Duration::from_secs(30);

/// Judges the rules.
pub struct RuleEvaluator {
    rules: Rules,
    book: Arc<AlertBook>,
    facts: Gatherer,
    table: Arc<dyn PostTable>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    turn: Mutex<()>,
    components: Mutex<ComponentAlerts>,
}

impl RuleEvaluator {
    /// `history` answers what rules ask; changed alerts are written into `table`.
    pub fn new(
        rules: Rules,
        book: Arc<AlertBook>,
        history: Arc<dyn RuleHistory>,
        table: Arc<dyn PostTable>,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
    ) -> Self {
        let facts = Gatherer::new(history, rules.state(), health.clone());
        Self { rules, book, facts, table, clock, health, turn: Mutex::default(), components: Mutex::default() }
    }

    /// Judges the rules that need no anomaly until told to stop.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(JUDGE_EVERY) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
            let now = self.clock.now();
            if let Err(error) = self.judge_components(now).await {
                warn!(%error, "the alert about a failing component could not be opened; trying again");
            }
            if let Err(error) = self.judge(now).await {
                warn!(%error, "alert rules could not be judged; trying again");
            }
        }
    }

    /// Notifies every channel of components that have been failing for minutes, and of their recovery. Asks nothing of
    /// the lake, which may be what fails.
    async fn judge_components(&self, now: Timestamp) -> Result<()> {
        let mut components = self.components.lock().await;
        let (mut rules, facts) = components.look(&self.health.problems(), self.rules.channels(), now);
        if facts.is_empty() {
            return Ok(());
        }
        // The other rules don't fire, but their alerts whose time is over are resolved.
        let others = self.rules.all().await?;
        rules.extend(others.into_iter().map(|rule| AlertRule { enabled: false, ..rule }));
        self.pass_on(&rules, &facts, now).await
    }

    async fn judge(&self, now: Timestamp) -> Result<()> {
        let rules = self.rules.all().await?;
        let facts = self.facts.gather(&rules, now).await?;
        self.pass_on(&rules, &facts, now).await
    }

    async fn pass_on(&self, rules: &[AlertRule], facts: &[Facts], now: Timestamp) -> Result<()> {
        let turn = self.turn.lock().await;
        self.book.observe(rules, facts, now).await?;
        drop(turn);
        // Changes by other processes are written here as well: those that only serve can't write the lake.
        if let Err(error) = self.book.write(self.table.as_ref(), now).await {
            warn!(%error, "alerts are not in the lake yet; trying again");
        }
        Ok(())
    }
}

#[async_trait]
impl AnomalyListener for RuleEvaluator {
    async fn observe(&self, anomalies: Vec<Anomaly>, now: Timestamp) -> Result<()> {
        let rules = self.rules.all().await?;
        let silent: Vec<AlertRule> =
            rules.iter().map(|rule| AlertRule { channels: Vec::new(), ..rule.clone() }).collect();
        let is_history = |anomaly: &Anomaly| now - anomaly.end.unwrap_or(anomaly.onset) > HISTORY;
        let (history, fresh): (Vec<Anomaly>, Vec<Anomaly>) = anomalies.into_iter().partition(is_history);
        for (rules, anomalies) in [(&silent, history), (&rules, fresh)] {
            let facts = Facts::of_anomalies(anomalies);
            if !facts.is_empty() {
                self.pass_on(rules, &facts, now).await?;
            }
        }
        Ok(())
    }
}
