//! Documents of one kind as values of one type, and the changes of a compare and swap over them.

use domain::{Error, ErrorKind, Result, StateStore, Swap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// Tries of a change that others come between: far more than happen at once.
pub(crate) const TRIES_MAX: usize = 50;

/// A document as it was read.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub key: String,
    pub value: T,
    /// The JSON that was read: what a compare and swap expects.
    read: Value,
}

/// The documents of one kind.
pub struct Documents<'a, T> {
    store: &'a dyn StateStore,
    kind: &'a str,
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Serialize + DeserializeOwned> Documents<'a, T> {
    pub(crate) fn new(store: &'a dyn StateStore, kind: &'a str) -> Self {
        Self { store, kind, of: PhantomData }
    }

    /// The document with this key.
    pub async fn get(&self, key: &str) -> Result<Option<Stored<T>>> {
        let found = self.store.get(self.kind, key).await?;
        found.map(|value| self.read(key.to_owned(), value)).transpose()
    }

    /// All documents, by key. One that can't be read is an error.
    pub async fn list(&self) -> Result<Vec<Stored<T>>> {
        let found = self.store.list(self.kind).await?.into_iter();
        found.map(|(key, value)| self.read(key, value)).collect()
    }

    /// The documents that can be read, by key; the others are left out with a warning.
    pub async fn list_readable(&self) -> Result<Vec<Stored<T>>> {
        let found = self.store.list(self.kind).await?.into_iter();
        let readable = found.filter_map(|(key, value)| match self.read(key, value) {
            Ok(stored) => Some(stored),
            Err(error) => {
                tracing::warn!(%error, "a document is left out");
                None
            }
        });
        Ok(readable.collect())
    }

    /// Writes the document, whatever is there.
    pub async fn put(&self, key: &str, value: &T) -> Result<()> {
        self.store.put(self.kind, key, self.json(key, value)?).await
    }

    /// Writes the document only when there is none of this key; says whether it wrote.
    pub async fn put_new(&self, key: &str, value: &T) -> Result<bool> {
        self.store.put_new(self.kind, key, self.json(key, value)?).await
    }

    /// Deletes the document; says whether there was one.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        self.store.delete(self.kind, key).await
    }

    /// The change that writes a new document, if there is none of this key.
    pub fn added(&self, key: &str, value: &T) -> Result<Swap> {
        Ok(Swap::new(self.kind, key, None, Some(self.json(key, value)?)))
    }

    /// The change that gives the document another value, if it is still as it was read.
    pub fn changed(&self, stored: &Stored<T>, value: &T) -> Result<Swap> {
        let value = self.json(&stored.key, value)?;
        Ok(Swap::new(self.kind, &stored.key, Some(stored.read.clone()), Some(value)))
    }

    /// The change that deletes the document, if it is still as it was read.
    pub fn removed(&self, stored: &Stored<T>) -> Swap {
        Swap::new(self.kind, &stored.key, Some(stored.read.clone()), None)
    }

    /// The condition that the document is still as it was read.
    pub fn unchanged(&self, stored: &Stored<T>) -> Swap {
        Swap::new(self.kind, &stored.key, Some(stored.read.clone()), Some(stored.read.clone()))
    }

    pub(crate) fn json(&self, key: &str, value: &T) -> Result<Value> {
        let message = || format!("the {} {key:?} can't be written as JSON", self.kind);
        serde_json::to_value(value).map_err(|error| Error::caused(ErrorKind::Reject, message(), error))
    }

    fn read(&self, key: String, read: Value) -> Result<Stored<T>> {
        match T::deserialize(&read) {
            Ok(value) => Ok(Stored { key, value, read }),
            Err(error) => Err(Error::stop(format!("the {} {key:?} can't be read: {error}", self.kind))),
        }
    }
}

/// Others came between all tries.
pub(crate) fn contended(kind: &str, key: &str) -> Error {
    Error::retry(format!("the {kind} {key:?} is being changed by others all the time; try again"))
}
