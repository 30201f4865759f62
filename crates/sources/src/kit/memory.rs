//! What a connector remembers between starts: one small JSON document in the state, under `cursor`.

use domain::{Error, ErrorKind, Result, StateStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

const KIND: &str = "cursor";

/// A document with its last saved value.
pub(crate) struct Memory<T> {
    state: Arc<dyn StateStore>,
    key: String,
    saved: Option<serde_json::Value>,
    pub(crate) value: T,
}

impl<T: Default + Serialize + DeserializeOwned> Memory<T> {
    /// Reads the document. One of another form counts as none: what it would have skipped is read again.
    pub(crate) async fn load(state: Arc<dyn StateStore>, key: String) -> Result<Self> {
        let saved = state.get(KIND, &key).await?;
        let value = saved.clone().and_then(|saved| serde_json::from_value(saved).ok()).unwrap_or_default();
        Ok(Self { state, key, saved, value })
    }

    /// Writes the document if it changed. To be called only when the posts that it stands for are in the queue.
    pub(crate) async fn save(&mut self) -> Result<()> {
        let value = serde_json::to_value(&self.value)
            .map_err(|error| Error::caused(ErrorKind::Stop, "the cursor can't be written", error))?;
        if self.saved.as_ref() != Some(&value) {
            self.state.put(KIND, &self.key, value.clone()).await?;
            self.saved = Some(value);
        }
        Ok(())
    }
}
