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
    /// Where it stands; kept by [`Self::save`].
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

    /// Writes the value if it changed; an error when another process moved the cursor. To be called only when the posts
    /// that it stands for are in the queue.
    pub async fn save(&mut self) -> Result<()> {
        let key = &self.key;
        let message = || format!("the cursor {key:?} can't be written as JSON");
        let document =
            serde_json::to_value(&self.value).map_err(|error| Error::caused(ErrorKind::Stop, message(), error))?;
        if self.document.as_ref() == Some(&document) {
            return Ok(());
        }
        let moved = Swap::new(&Kind::Cursor.name(), key, self.document.clone(), Some(document.clone()));
        if !self.store.swap(vec![moved]).await? {
            return Err(Error::retry(format!(
                "the cursor {key:?} was moved by another process: run one process with the role listen"
            )));
        }
        self.document = Some(document);
        Ok(())
    }
}
