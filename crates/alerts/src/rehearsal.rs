//! A rule tried on history before it is saved: the facts of each moment, in order, go through the very book that alerts
//! live in, over a store in memory and without a channel, so that nobody is told. Gives back what would have been opened.

use crate::book::AlertBook;
use crate::facts::Facts;
use crate::life::Policy;
use domain::{Alert, AlertRule, Result, Timestamp};
use state::MemoryState;
use std::sync::Arc;

/// The alerts that `rule` would have opened on `moments`, each with its facts, in order of time; the oldest first.
pub async fn rehearse(
    rule: &AlertRule,
    policy: Policy,
    moments: impl IntoIterator<Item = (Timestamp, Vec<Facts>)>,
) -> Result<Vec<Alert>> {
    let rule = AlertRule { channels: Vec::new(), enabled: true, ..rule.clone() };
    let book = AlertBook::new(Arc::new(MemoryState::default()), policy);
    for (now, facts) in moments {
        book.observe(std::slice::from_ref(&rule), &facts, now).await?;
    }
    Ok(book.alerts().await?.into_iter().rev().map(|stored| stored.alert).collect())
}
