//! Documents of this crate in the state store: read into types, changed by compare and swap. A document that can't be
//! read (damaged, or of a later version) is moved to the kind `..._unreadable` with a warning and stops nothing.

use domain::{Error, ErrorKind, Result, StateStore, Swap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How often a change is tried again because another writer was faster.
pub(crate) const TRIES_MAX: usize = 32;

pub(crate) fn into_value<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::caused(ErrorKind::Reject, "document can't be written as JSON", e))
}

/// A document with the value that a later swap expects.
pub(crate) async fn get<T: DeserializeOwned>(
    store: &dyn StateStore,
    kind: &str,
    id: &str,
) -> Result<Option<(Value, T)>> {
    match store.get(kind, id).await? {
        Some(value) => read(store, kind, id, value).await,
        None => Ok(None),
    }
}

/// The documents of a kind that can be read, by id.
pub(crate) async fn list<T: DeserializeOwned>(store: &dyn StateStore, kind: &str) -> Result<Vec<(Value, T)>> {
    let mut documents = Vec::new();
    for (id, value) in store.list(kind).await? {
        documents.extend(read(store, kind, &id, value).await?);
    }
    Ok(documents)
}

/// Changes a document, or makes or deletes it (`None`); the edit runs again when another writer was faster.
pub(crate) async fn update<T: Serialize + DeserializeOwned>(
    store: &dyn StateStore,
    kind: &str,
    id: &str,
    edit: impl Fn(Option<T>) -> Option<T>,
) -> Result<()> {
    for _ in 0..TRIES_MAX {
        let (before, read) = get(store, kind, id).await?.unzip();
        let after = edit(read).as_ref().map(into_value).transpose()?;
        if after == before || store.swap(vec![Swap::new(kind, id, before, after)]).await? {
            return Ok(());
        }
    }
    Err(contended(id))
}

pub(crate) fn contended(id: &str) -> Error {
    Error::retry(format!("document {id} is being changed by others all the time"))
}

async fn read<T: DeserializeOwned>(
    store: &dyn StateStore,
    kind: &str,
    id: &str,
    value: Value,
) -> Result<Option<(Value, T)>> {
    match T::deserialize(&value) {
        Ok(read) => Ok(Some((value, read))),
        Err(error) => {
            tracing::warn!(kind, id, %error, "a stored document can't be read and is set aside");
            store.put(&format!("{kind}_unreadable"), id, value.clone()).await?;
            // Not as expected any more: somebody has just written it anew.
            store.swap(vec![Swap::new(kind, id, Some(value), None)]).await?;
            Ok(None)
        }
    }
}
