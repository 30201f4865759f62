//! The rules in force: those of the configuration, and those saved on the page, which replace them by name.

use domain::{AlertRule, Condition, Result, Severity, StateStore};
use state::Rules as SavedRules;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::warn;

/// See the module.
#[derive(Clone)]
pub struct Rules {
    configured: Vec<AlertRule>,
    channels: Vec<String>,
    state: Arc<dyn StateStore>,
}

impl Rules {
    /// `configured`: the rules of the configuration; `channels`: names of all channels.
    pub fn new(configured: Vec<AlertRule>, channels: Vec<String>, state: Arc<dyn StateStore>) -> Self {
        Self { configured, channels, state }
    }

    /// Names of all channels.
    pub fn channels(&self) -> &[String] {
        &self.channels
    }

    pub(crate) fn state(&self) -> Arc<dyn StateStore> {
        self.state.clone()
    }

    /// Every rule, by name. If there is none, medium anomalies go to every channel. A saved rule that can't be used is
    /// left out.
    pub async fn all(&self) -> Result<Vec<AlertRule>> {
        let mut rules: BTreeMap<String, AlertRule> =
            self.configured.iter().map(|rule| (rule.name.clone(), rule.clone())).collect();
        for rule in SavedRules::new(self.state.as_ref()).list_readable().await? {
            match rule.check_itself() {
                Ok(()) => drop(rules.insert(rule.name.clone(), rule)),
                Err(fault) => warn!(rule = rule.name, %fault, "an alert rule is left out"),
            }
        }
        if rules.is_empty() {
            let rule = self.default_rule();
            rules.insert(rule.name.clone(), rule);
        }
        Ok(rules.into_values().collect())
    }

    fn default_rule(&self) -> AlertRule {
        AlertRule {
            name: "anything unusual".into(),
            topic: None,
            condition: Condition::Anomaly { severity_min: Severity::Medium },
            channels: self.channels.clone(),
            cooldown_s: 3600,
            quiet_hours: None,
            enabled: true,
        }
    }
}
