//! The store in memory, for back-tests and for tests.

use async_trait::async_trait;
use domain::{Result, StateStore, Swap};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// Documents in memory. Every call lets other tasks go first, as a database does, so that tests meet races.
#[derive(Debug, Default)]
pub struct MemoryState(Mutex<BTreeMap<(String, String), Value>>);

impl MemoryState {
    async fn documents(&self) -> MutexGuard<'_, BTreeMap<(String, String), Value>> {
        let mut yielded = false;
        poll_fn(|context| match std::mem::replace(&mut yielded, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn get(&self, kind: &str, key: &str) -> Result<Option<Value>> {
        Ok(self.documents().await.get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> Result<()> {
        self.documents().await.insert((kind.to_owned(), key.to_owned()), value);
        Ok(())
    }

    async fn swap(&self, changes: Vec<Swap>) -> Result<bool> {
        let mut documents = self.documents().await;
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
        Ok(self.documents().await.remove(&(kind.to_owned(), key.to_owned())).is_some())
    }

    async fn list(&self, kind: &str) -> Result<Vec<(String, Value)>> {
        let documents = self.documents().await;
        Ok(documents.iter().filter(|((of, _), _)| of == kind).map(|((_, key), v)| (key.clone(), v.clone())).collect())
    }
}
