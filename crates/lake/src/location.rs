//! Where the lake's files are: a folder of this machine ([`crate::disk`]) or a prefix of a bucket ([`crate::bucket`]).
//!
//! Data files are written and read as local files in both cases. A bucket keeps them in a cache folder and uploads what is
//! kept. All calls wait for disk or network: async code makes them through
//! [`crate::storage::blocking`].

use crate::bucket::Bucket;
use crate::bucket_config::BucketConfig;
use crate::disk::Disk;
use crate::error::Result;
use crate::schema::TableName;
use crate::storage::{Listed, Settings, Storage, blocking};
use bytes::Bytes;
use object_store::ObjectStore;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A folder or a bucket, and the prefix of a table in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Location {
    storage: Arc<dyn Storage>,
    prefix: String,
}

impl Location {
    /// A folder of this machine.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self::of(Arc::new(Disk::new(folder.into())))
    }

    /// A bucket of an object store.
    pub fn bucket(config: &BucketConfig) -> Result<Self> {
        Ok(Self::of(Arc::new(Bucket::connect(config)?)))
    }

    /// A bucket that is reached through this store. Other processes can't be told of it, so SQL workers can't open it.
    pub fn over(store: Arc<dyn ObjectStore>, config: &BucketConfig) -> Result<Self> {
        Ok(Self::of(Arc::new(Bucket::over(store, config, None)?)))
    }

    fn of(storage: Arc<dyn Storage>) -> Self {
        Self { storage, prefix: String::new() }
    }

    pub(crate) fn opened(settings: Settings) -> Result<Self> {
        match settings {
            Settings::Folder(folder) => Ok(Self::folder(folder)),
            Settings::Bucket(config) => Self::bucket(&config),
        }
    }

    /// A folder in this one.
    pub(crate) fn join(&self, folder: &str) -> Self {
        Self { storage: Arc::clone(&self.storage), prefix: self.name(folder) }
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// Whether a lake was made here.
    pub async fn holds_a_lake(&self) -> Result<bool> {
        let log = self.join(TableName::Raw.as_str()).join("_delta_log");
        blocking(move || Ok(!log.list()?.is_empty())).await
    }

    /// Tries what a lake needs of a bucket: to write, to read, to list, to delete, and that of two who write the same
    /// object at the same time one is refused.
    pub async fn probe(&self) -> Result<()> {
        let storage = Arc::clone(&self.storage);
        blocking(move || storage.probe()).await
    }

    /// The folder of this machine that the lake is in; none: it is in a bucket.
    pub fn as_folder(&self) -> Option<&Path> {
        self.storage.folder()
    }

    /// Whether files appear whole or not at all, so that only other hands can damage them.
    pub(crate) fn is_bucket(&self) -> bool {
        self.as_folder().is_none()
    }

    pub(crate) fn create(&self, name: &str) -> Result<File> {
        self.storage.create(&self.name(name))
    }

    pub(crate) fn keep(&self, name: &str, file: &File) -> Result<()> {
        self.storage.keep(&self.name(name), file)
    }

    pub(crate) fn discard(&self, name: &str) {
        self.storage.discard(&self.name(name));
    }

    /// Opens a data file for reading.
    pub fn open(&self, name: &str) -> Result<File> {
        self.storage.open(&self.name(name))
    }

    pub(crate) fn fetch<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        self.storage.fetch(&names.map(|name| self.name(name)).collect::<Vec<_>>())
    }

    /// The sizes of those of the files that exist, by the name given, in bytes.
    pub(crate) fn sizes(&self, names: &[String]) -> Result<HashMap<String, u64>> {
        let full: Vec<String> = names.iter().map(|name| self.name(name)).collect();
        let sizes = self.storage.sizes(&self.prefix, &full)?;
        Ok(names.iter().zip(full).filter_map(|(name, full)| Some((name.clone(), *sizes.get(&full)?))).collect())
    }

    /// Reads a file of the log or a document; none when there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<Bytes>> {
        self.storage.read(&self.name(name))
    }

    /// Writes a file whole, in place of one that has the name.
    pub fn write(&self, name: &str, content: impl Into<Bytes>) -> Result<()> {
        self.storage.write(&self.name(name), content.into())
    }

    pub(crate) fn list(&self) -> Result<Vec<Listed>> {
        self.storage.list(&self.prefix)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.storage.remove(&self.name(name))
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.storage.rename(&self.name(from), &self.name(to))
    }

    /// Removes local copies of files that are not among these and that nobody used for so long.
    pub(crate) fn tidy(&self, alive: &[String], unused_for: Duration) {
        let full: Vec<String> = alive.iter().map(|name| self.name(name)).collect();
        self.storage.tidy(&self.prefix, &full, unused_for);
    }

    pub(crate) fn table(&self) -> Result<(Arc<dyn ObjectStore>, Url)> {
        self.storage.table(&self.prefix)
    }

    pub(crate) fn shown(&self, name: &str) -> PathBuf {
        self.storage.shown(&self.name(name))
    }

    pub(crate) fn traces(&self) -> Vec<String> {
        self.storage.traces()
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.storage.scratch()
    }

    pub(crate) fn settings(&self) -> Option<Settings> {
        self.storage.settings()
    }
}

impl From<&Path> for Location {
    fn from(folder: &Path) -> Self {
        Self::folder(folder)
    }
}

/// A path, or a `file://` address.
impl From<&str> for Location {
    fn from(folder: &str) -> Self {
        let path = Url::parse(folder).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
        Self::folder(path.unwrap_or_else(|| folder.into()))
    }
}

impl Display for Location {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.storage.shown(&self.prefix).display())
    }
}
