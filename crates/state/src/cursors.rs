//! How far a source has read, one document a source. Its form is the source's own.

use crate::kind::Kind;
use domain::{Error, ErrorKind, Result, StateStore, Swap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// The cursor of one source, which one process at a time moves.
pub struct Cursor<T> {
    store: Arc<dyn StateStore>,
    key: String,
    /// The document as it was read or written last.
    document: Option<Value>,
    /// Where it stands; changed by its owner, and written by [`Self::save`].
    pub value: T,
}

impl<T: Default + Serialize + DeserializeOwned> Cursor<T> {
    /// The cursor with this key as it was left. One of another form counts as none: what it would have skipped is read
    /// again.
    pub async fn load(store: Arc<dyn StateStore>, key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let document = store.get(&Kind::Cursor.name(), &key).await?;
        let value = document.as_ref().and_then(|document| T::deserialize(document).ok()).unwrap_or_default();
        Ok(Self { store, key, document, value })
    }

    /// Writes the value if it changed; an error of kind `Retry` when another process moved the cursor. To be called only
    /// when the posts that it stands for are in the queue.
    pub async fn save(&mut self) -> Result<()> {
        // Without the key in errors, which can hold a feed's address with its secret.
        let document = serde_json::to_value(&self.value)
            .map_err(|error| Error::caused(ErrorKind::Stop, "a cursor can't be written as JSON", error))?;
        if self.document.as_ref() == Some(&document) {
            return Ok(());
        }
        let moved = Swap::new(&Kind::Cursor.name(), &self.key, self.document.clone(), Some(document.clone()));
        if !self.store.swap(vec![moved]).await? {
            return Err(Error::retry(
                "the cursor of this source was moved by another process: run one process with the role listen",
            ));
        }
        self.document = Some(document);
        Ok(())
    }
}
