//! Documents of one kind as values of one type, and the changes of a compare and swap over them.

use crate::kind::Kind;
use domain::{Error, ErrorKind, Result, StateStore, Swap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// How often a change is tried again because another writer was faster: far more than happens at once.
pub const TRIES_MAX: usize = 50;

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
    kind: Kind,
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Serialize + DeserializeOwned> Documents<'a, T> {
    pub fn new(store: &'a dyn StateStore, kind: Kind) -> Self {
        Self { store, kind, of: PhantomData }
    }

    /// The document with this key.
    pub async fn get(&self, key: &str) -> Result<Option<Stored<T>>> {
        let found = self.store.get(&self.kind.name(), key).await?;
        found.map(|value| self.read(key.to_owned(), value)).transpose()
    }

    /// All documents, by key. One that can't be read is an error.
    pub async fn list(&self) -> Result<Vec<Stored<T>>> {
        let found = self.store.list(&self.kind.name()).await?.into_iter();
        found.map(|(key, value)| self.read(key, value)).collect()
    }

    /// The documents that can be read, by key; the others are left out with a warning.
    pub async fn list_readable(&self) -> Result<Vec<Stored<T>>> {
        let found = self.store.list(&self.kind.name()).await?.into_iter();
        let readable = found.filter_map(|(key, value)| match self.read(key, value) {
            Ok(stored) => Some(stored),
            Err(error) => {
                tracing::warn!(%error, "a document is left out");
                None
            }
        });
        Ok(readable.collect())
    }

    /// Whether there is a document with this key, readable or not.
    pub async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.store.get(&self.kind.name(), key).await?.is_some())
    }

    /// The keys of all documents, also of those that can't be read.
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(self.store.list(&self.kind.name()).await?.into_iter().map(|(key, _)| key).collect())
    }

    /// The document with this key. One that can't be read is set aside and counts as none.
    pub async fn get_or_set_aside(&self, key: &str) -> Result<Option<Stored<T>>> {
        match self.store.get(&self.kind.name(), key).await? {
            Some(value) => self.read_or_set_aside(key.to_owned(), value).await,
            None => Ok(None),
        }
    }

    /// All documents, by key. Those that can't be read are set aside: moved to the kind `<kind>_unreadable`, with a
    /// warning.
    pub async fn list_or_set_aside(&self) -> Result<Vec<Stored<T>>> {
        let mut documents = Vec::new();
        for (key, value) in self.store.list(&self.kind.name()).await? {
            documents.extend(self.read_or_set_aside(key, value).await?);
        }
        Ok(documents)
    }

    /// Changes the document, makes it or deletes it (`None`). The edit runs again when another writer was faster.
    pub async fn update(&self, key: &str, edit: impl Fn(Option<T>) -> Option<T>) -> Result<()> {
        for _ in 0..TRIES_MAX {
            let (value, before) = self.get_or_set_aside(key).await?.map(|stored| (stored.value, stored.read)).unzip();
            let after = edit(value).map(|value| self.json(key, &value)).transpose()?;
            if after == before || self.store.swap(vec![Swap::new(&self.kind.name(), key, before, after)]).await? {
                return Ok(());
            }
        }
        Err(self.contended(key))
    }

    /// Writes the document, whatever is there.
    pub async fn put(&self, key: &str, value: &T) -> Result<()> {
        self.store.put(&self.kind.name(), key, self.json(key, value)?).await
    }

    /// Writes the document only when there is none of this key; says whether it wrote.
    pub async fn put_new(&self, key: &str, value: &T) -> Result<bool> {
        self.store.put_new(&self.kind.name(), key, self.json(key, value)?).await
    }

    /// Deletes the document; says whether there was one.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        self.store.delete(&self.kind.name(), key).await
    }

    /// The change that writes a new document, if there is none of this key.
    pub fn added(&self, key: &str, value: &T) -> Result<Swap> {
        Ok(Swap::new(&self.kind.name(), key, None, Some(self.json(key, value)?)))
    }

    /// The change that gives the document another value, if it is still as it was read.
    pub fn changed(&self, stored: &Stored<T>, value: &T) -> Result<Swap> {
        let value = self.json(&stored.key, value)?;
        Ok(Swap::new(&self.kind.name(), &stored.key, Some(stored.read.clone()), Some(value)))
    }

    /// The change that deletes the document, if it is still as it was read.
    pub fn removed(&self, stored: &Stored<T>) -> Swap {
        Swap::new(&self.kind.name(), &stored.key, Some(stored.read.clone()), None)
    }

    /// The condition that there is no document with this key.
    pub fn absent(&self, key: &str) -> Swap {
        Swap::new(&self.kind.name(), key, None, None)
    }

    /// The change that moves the document, if it is still as it was read, to another kind with another value.
    pub fn moved(&self, stored: &Stored<T>, to: &Self, value: &T) -> Result<[Swap; 2]> {
        Ok([self.removed(stored), to.added(&stored.key, value)?])
    }

    /// The condition that the document is still as it was read.
    pub fn unchanged(&self, stored: &Stored<T>) -> Swap {
        Swap::new(&self.kind.name(), &stored.key, Some(stored.read.clone()), Some(stored.read.clone()))
    }

    /// The document as it is read after this value was written.
    pub fn as_written(&self, key: &str, value: T) -> Result<Stored<T>> {
        Ok(Stored { key: key.to_owned(), read: self.json(key, &value)?, value })
    }

    /// The error for a change that others came between each time.
    pub fn contended(&self, key: &str) -> Error {
        Error::retry(format!("the {} {key:?} is being changed by others all the time; try again", self.kind))
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

    async fn read_or_set_aside(&self, key: String, read: Value) -> Result<Option<Stored<T>>> {
        match T::deserialize(&read) {
            Ok(value) => Ok(Some(Stored { key, value, read })),
            Err(error) => {
                let kind = self.kind.name();
                tracing::warn!(%kind, key, %error, "a stored document can't be read and is set aside");
                self.store.put(&self.kind.unreadable(), &key, read.clone()).await?;
                // If it was just written anew, the document is kept.
                self.store.swap(vec![Swap::new(&kind, &key, Some(read), None)]).await?;
                Ok(None)
            }
        }
    }
}
