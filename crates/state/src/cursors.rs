//! How far a source has read, one document a source. Its form is the source's own.

use domain::{Error, ErrorKind, Result, StateStore, Swap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

const KIND: &str = "cursor";

/// The cursor of one source, which one process at a time moves.
pub struct Cursor<T> {
    store: Arc<dyn StateStore>,
    key: String,
    /// The document as it was read or written last.
    document: Option<Value>,
    value: Option<T>,
}

impl<T: Serialize + DeserializeOwned> Cursor<T> {
    /// The cursor with this key as it was left. One of another form counts as none: what it would have skipped is read
    /// again.
    pub async fn load(store: Arc<dyn StateStore>, key: &str) -> Result<Self> {
        let document = store.get(KIND, key).await?;
        let value = document.as_ref().and_then(|document| T::deserialize(document).ok());
        Ok(Self { store, key: key.to_owned(), document, value })
    }

    /// Where it stands; none: the source has not read anything.
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Moves the cursor; an error when another process moved it.
    pub async fn save(&mut self, value: T) -> Result<()> {
        let key = &self.key;
        let message = || format!("the cursor {key:?} can't be written as JSON");
        let document =
            serde_json::to_value(&value).map_err(|error| Error::caused(ErrorKind::Stop, message(), error))?;
        let moved = Swap::new(KIND, key, self.document.clone(), Some(document.clone()));
        if !self.store.swap(vec![moved]).await? {
            return Err(Error::retry(format!(
                "the cursor {key:?} was moved by another process: run one process with the role listen"
            )));
        }
        (self.document, self.value) = (Some(document), Some(value));
        Ok(())
    }
}
