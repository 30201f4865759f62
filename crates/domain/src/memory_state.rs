//! The small document store in memory, for a rehearsal and for tests.

use crate::{Result, StateStore, Swap};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryState(Mutex<BTreeMap<(String, String), Value>>);

impl MemoryState {
    fn documents(&self) -> MutexGuard<'_, BTreeMap<(String, String), Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        Ok(self.documents().get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        self.documents().insert((kind.to_owned(), key.to_owned()), value);
        Ok(())
    }

    async fn swap(&self, changes: Vec<Swap>) -> Result<bool> {
        let mut documents = self.documents();
        let place = |change: &Swap| (change.kind.clone(), change.key.clone());
        if !changes.iter().all(|change| documents.get(&place(change)) == change.expected.as_ref()) {
            return Ok(false);
        }
        for change in changes {
            match change.value {
                Some(value) => documents.insert((change.kind, change.key), value),
                None => documents.remove(&(change.kind, change.key)),
            };
        }
        Ok(true)
    }

    async fn delete(&self, kind: &str, key: &str) -> Result<bool> {
        Ok(self.documents().remove(&(kind.to_owned(), key.to_owned())).is_some())
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
        let documents = self.documents();
        Ok(documents.iter().filter(|((of, _), _)| of == kind).map(|((_, key), v)| (key.clone(), v.clone())).collect())
    }
}
