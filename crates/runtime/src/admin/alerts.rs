//! The alert rules in force, and what people do with alerts.

use crate::alerting;
use crate::clock::clock;
use crate::config::Config;
use alerts::{AlertBook, Rules, StoredAlert};
use async_trait::async_trait;
use domain::{Alert, AlertDesk, AlertNow, AlertRule, Result, StateStore, TimeRange, Timestamp, Undelivered};
use lake::Lake;
use std::collections::HashMap;
use std::sync::Arc;

/// Rules and alerts of the installation.
pub struct RunningAlerts {
    config: Config,
    rules: Rules,
    channels: Vec<String>,
    state: Arc<dyn StateStore>,
    lake: Arc<Lake>,
    book: Arc<AlertBook>,
    writes_lake: bool,
}

impl RunningAlerts {
    /// `writes_lake`: this process may write to the lake.
    pub fn new(
        config: &Config,
        state: Arc<dyn StateStore>,
        lake: Arc<Lake>,
        book: Arc<AlertBook>,
        writes_lake: bool,
    ) -> Self {
        let (rules, channels) = (alerting::rules(config, state.clone()), alerting::channels(config));
        Self { config: config.clone(), rules, channels, state, lake, book, writes_lake }
    }

    /// SQL reads alerts from the lake. Where this process can't write it, the one that judges the rules does.
    async fn show(&self, alert: Result<Option<Alert>>) -> Result<Option<Alert>> {
        let alert = alert?;
        if self.writes_lake
            && let Err(error) = self.book.write(self.lake.as_ref(), clock().now()).await
        {
            tracing::warn!(%error, "an alert is not in the lake yet; trying again");
        }
        Ok(alert)
    }
}

#[async_trait]
impl AlertDesk for RunningAlerts {
    async fn rules(&self) -> Result<Vec<AlertRule>> {
        self.rules.all().await
    }

    async fn rule_problems(&self) -> Result<HashMap<String, String>> {
        alerting::rule_problems(&self.config, self.state.clone()).await
    }

    fn channels(&self) -> Vec<String> {
        self.channels.clone()
    }

    async fn alerts_now(&self, ids: &[String]) -> Result<Vec<AlertNow>> {
        let mut alerts = Vec::new();
        for id in ids {
            alerts.extend(self.book.alert(id).await?.map(alert_now));
        }
        Ok(alerts)
    }

    async fn acknowledge(&self, alert_id: &str, who: &str) -> Result<Option<Alert>> {
        self.show(self.book.acknowledge(alert_id, who, clock().now()).await).await
    }

    async fn silence(&self, alert_id: &str, until: Timestamp) -> Result<Option<Alert>> {
        self.show(self.book.silence(alert_id, until, clock().now()).await).await
    }

    async fn back_test(&self, rule: &AlertRule, from: Timestamp, to: Timestamp) -> Result<Vec<Alert>> {
        alerts::back_test(self.lake.as_ref(), rule, TimeRange { from, to }).await
    }
}

fn alert_now(stored: StoredAlert) -> AlertNow {
    let lost = |lost: alerts::Undelivered| Undelivered { channel: lost.channel, at: lost.at, reason: lost.reason };
    AlertNow { alert: stored.alert, undelivered: stored.undelivered.into_iter().map(lost).collect() }
}
