//! What the lake asks of the place where its files are. Two kinds exist: [`crate::disk`] and [`crate::bucket`].

use crate::bucket_config::BucketConfig;
use crate::error::{Error, Result};
use bytes::Bytes;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// A file of a listing.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Without the folders above it.
    pub(crate) name: String,
    pub(crate) modified: SystemTime,
}

/// What a location is made from: a process hands it to its SQL workers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Settings {
    Folder(PathBuf),
    Bucket(BucketConfig),
}

/// One kind of place. Names are relative to the lake and separated by `/`.
pub(crate) trait Storage: Debug + Send + Sync {
    /// A new, empty data file.
    fn create(&self, name: &str) -> Result<File>;
    /// Makes a data file durable, with the content that was written to it.
    fn keep(&self, name: &str, file: &File) -> Result<()>;
    /// Removes a data file that is in no table. Failure is ignored: the next vacuum removes it.
    fn discard(&self, name: &str);
    /// Opens a data file for reading.
    fn open(&self, name: &str) -> Result<File>;
    /// Gets data files that will be opened soon.
    fn fetch(&self, names: &[String]) -> Result<()>;
    /// The sizes of those of the files that exist, in bytes. `folder`: they are all in it.
    fn sizes(&self, folder: &str, names: &[String]) -> Result<HashMap<String, u64>>;

    /// Reads a file of the log or a document; none when there is no such file.
    fn read(&self, name: &str) -> Result<Option<Bytes>>;
    /// Writes a document: whole or not at all.
    fn write(&self, name: &str, content: Bytes) -> Result<()>;
    /// The files in a folder, without those of its folders; empty when there is no such folder.
    fn list(&self, folder: &str) -> Result<Vec<Listed>>;
    fn remove(&self, name: &str) -> Result<()>;
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Tries what the lake needs of the place.
    fn probe(&self) -> Result<()>;
    /// Removes local copies of a folder's files that are not alive any more and that nobody used for so long.
    fn tidy(&self, folder: &str, alive: &[String], unused_for: Duration);
    /// The object store through which the Delta library reads and writes the table in this folder, and its address.
    fn table(&self, folder: &str) -> Result<(Arc<dyn ObjectStore>, Url)>;
    /// The name as it is written in messages.
    fn shown(&self, name: &str) -> PathBuf;
    /// Texts that name the place in plans and errors of the query engine.
    fn traces(&self) -> Vec<String>;
    /// A local folder for temporary files.
    fn scratch(&self) -> PathBuf;
    /// The folder, where the lake is one.
    fn folder(&self) -> Option<&Path>;
    /// None: another process can't open this place.
    fn settings(&self) -> Option<Settings>;
}

/// Runs work on files away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closing))
}
