//! A rule tried on history before it is saved: the facts of each moment, in order, go through the very book that alerts
//! live in, over a store in memory and without a channel, so that nobody is told. Gives back what would have been opened.

use crate::book::{AlertBook, Policy};
use crate::facts::Facts;
use async_trait::async_trait;
use domain::{Alert, AlertRule, Result, StateStore, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The alerts that `rule` would have opened on `moments`, each with its facts, in order of time; the oldest first.
pub async fn rehearse(
    rule: &AlertRule,
    policy: Policy,
    moments: impl IntoIterator<Item = (Timestamp, Vec<Facts>)>,
) -> Result<Vec<Alert>> {
    let rule = AlertRule { channels: Vec::new(), enabled: true, ..rule.clone() };
    let book = AlertBook::new(Arc::new(Scratch::default()), policy);
    for (now, facts) in moments {
        book.observe(std::slice::from_ref(&rule), &facts, now).await?;
    }
    Ok(book.alerts().await?.into_iter().rev().map(|stored| stored.alert).collect())
}

/// Documents for the length of one rehearsal.
#[derive(Default)]
struct Scratch(Mutex<BTreeMap<(String, String), Value>>);

impl Scratch {
    fn documents(&self) -> MutexGuard<'_, BTreeMap<(String, String), Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for Scratch {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        Ok(self.documents().get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        self.documents().insert((kind.to_owned(), key.to_owned()), value);
        Ok(())
    }

    async fn put_new(&self, kind: &str, key: &str, value: Value) -> Result<bool> {
        let mut documents = self.documents();
        let place = (kind.to_owned(), key.to_owned());
        let new = !documents.contains_key(&place);
        documents.entry(place).or_insert(value);
        Ok(new)
    }

    async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
        Ok(self.documents().remove(&(kind.to_owned(), key.to_owned())).is_some())
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
        let documents = self.documents();
        Ok(documents.iter().filter(|((of, _), _)| of == kind).map(|((_, key), v)| (key.clone(), v.clone())).collect())
    }
}
