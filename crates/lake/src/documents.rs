//! The small documents of an installation in a bucket, for processes on several machines: a log of changes.
//!
//! ```text
//! <prefix>/log/00000000000000000042.json          one change of some documents, made by a conditional write
//! <prefix>/snapshot/00000000000000000200.json     all documents as of a version, now and then
//! ```
//!
//! Each process holds all documents in memory. A change is checked against them and written under the next number, which
//! succeeds only if no other process was faster; then what that one wrote is read and the change is checked again. So a
//! change of several documents applies whole or not at all. Reads are as old as `refresh` at most.
//!
//! Log entries are deleted an hour after the second snapshot that stands for them. A process that read nothing for longer
//! than half of that reads everything anew, before it believes that a number is free and again after it wrote one.

use crate::error::{Error, Result};
use crate::location::Location;
use async_trait::async_trait;
use bytes::Bytes;
use domain::{StateStore, Swap};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;
use uuid::Uuid;

/// Changes between two snapshots.
const SNAPSHOT_EVERY: u64 = 200;
/// How long log entries stay after the snapshots that stand for them.
const GRACE: Duration = Duration::from_secs(3_600);
/// Log entries that are read at one time.
const READS: usize = 16;
/// How often a change is tried when other processes are faster.
const TRIES_MAX: u32 = 64;
/// Longest pause between two tries, in milliseconds.
const PAUSE_MAX_MS: u64 = 1_000;

/// All documents, by kind and key.
type All = BTreeMap<(String, String), Value>;

/// Documents in a bucket.
pub struct BucketDocuments {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    refresh: Duration,
    held: Mutex<Held>,
}

/// The documents as of a version.
struct Held {
    version: u64,
    documents: All,
    /// When this version was the newest.
    current_at: Option<Instant>,
}

/// A log entry.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// By which its writer knows it.
    id: String,
    changes: Vec<Change>,
}

/// What became of one document.
#[derive(Serialize, Deserialize)]
struct Change {
    kind: String,
    key: String,
    #[serde(flatten)]
    to: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Value(Value),
    Deleted(bool),
}

/// A snapshot.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    documents: Vec<(String, String, Value)>,
}

/// How the writing of an entry ended.
#[derive(PartialEq, Eq)]
enum Written {
    Done,
    /// The number is another process's.
    Taken,
}

impl BucketDocuments {
    /// The documents in the folder `state` of a location in a bucket; `refresh`: how old an answer may be. Asks nothing
    /// yet.
    pub fn new(location: &Location, refresh: Duration) -> Result<Self> {
        let (store, url) = location.join("state").table()?;
        let prefix = Path::from_url_path(url.path()).map_err(|_| Error::Address(url.to_string()))?;
        let held = Mutex::new(Held { version: 0, documents: All::new(), current_at: None });
        Ok(Self { store, prefix, refresh, held })
    }

    /// All documents: kind, key, value.
    pub async fn all(&self) -> Result<Vec<(String, String, Value)>> {
        Ok(flat(&self.current().await?.documents))
    }

    /// Writes these documents, in one change, where none are; false: there are others.
    pub async fn fill(&self, documents: Vec<(String, String, Value)>) -> Result<bool> {
        let wanted: All = documents.into_iter().map(|(kind, key, value)| ((kind, key), value)).collect();
        let changes = || wanted.iter().map(|((kind, key), value)| change(kind, key, Some(value.clone()))).collect();
        self.change(|all| if *all == wanted { Some(Vec::new()) } else { all.is_empty().then(changes) }).await
    }

    fn entry(&self, version: u64) -> Path {
        self.prefix.clone().join("log").join(format!("{version:020}.json"))
    }

    fn snapshot(&self, version: u64) -> Path {
        self.prefix.clone().join("snapshot").join(format!("{version:020}.json"))
    }

    fn failed(&self, doing: &'static str, path: &Path) -> impl FnOnce(object_store::Error) -> Error {
        let path = path.to_string().into();
        move |source| Error::Store { doing, path, source: Box::new(source) }
    }

    async fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let content = match self.store.get(path).await {
            Ok(found) => found.bytes().await.map_err(self.failed("read", path))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", path)(error)),
        };
        match serde_json::from_slice(&content) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Error::Damaged { table: "state", what: format!("{path}: {error}") }),
        }
    }

    /// The versions of a folder's objects, with the time of each, in order.
    async fn versions(&self, folder: &str, after: Option<Path>) -> Result<Vec<(u64, chrono::DateTime<chrono::Utc>)>> {
        let folder = self.prefix.clone().join(folder);
        let listed = match &after {
            Some(after) => self.store.list_with_offset(Some(&folder), after),
            None => self.store.list(Some(&folder)),
        };
        let objects: Vec<_> = listed.try_collect().await.map_err(self.failed("list", &folder))?;
        let version = |path: &Path| path.filename()?.strip_suffix(".json")?.parse().ok();
        let mut found: Vec<_> =
            objects.iter().filter_map(|object| Some((version(&object.location)?, object.last_modified))).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Reads everything anew.
    async fn load(&self, held: &mut Held) -> Result<()> {
        let (mut version, mut documents) = (0, All::new());
        for (newest, _) in self.versions("snapshot", None).await?.into_iter().rev() {
            if let Some(snapshot) = self.read::<Snapshot>(&self.snapshot(newest)).await? {
                version = newest;
                documents.extend(snapshot.documents.into_iter().map(|(kind, key, value)| ((kind, key), value)));
                break;
            }
        }
        let began = Instant::now();
        let listed = self.versions("log", Some(self.entry(version))).await?;
        for some in listed.chunks(READS) {
            let paths: Vec<Path> = some.iter().map(|(version, _)| self.entry(*version)).collect();
            let read = try_join_all(paths.iter().map(|path| self.read::<Entry>(path))).await?;
            for ((number, _), entry) in some.iter().zip(read) {
                let Some(entry) = entry.filter(|_| *number == version + 1) else {
                    let what = format!("log entry {} is missing", version + 1);
                    return Err(Error::Damaged { table: "state", what });
                };
                apply(&mut documents, entry);
                version = *number;
            }
        }
        *held = Held { version, documents, current_at: Some(began) };
        Ok(())
    }

    /// Takes in what other processes wrote.
    async fn catch_up(&self, held: &mut Held) -> Result<()> {
        if held.is_too_old() {
            return self.load(held).await;
        }
        loop {
            let began = Instant::now();
            match self.read::<Entry>(&self.entry(held.version + 1)).await? {
                Some(entry) => {
                    apply(&mut held.documents, entry);
                    held.version += 1;
                }
                None => {
                    held.current_at = Some(began);
                    return Ok(());
                }
            }
        }
    }

    /// The documents, not older than the limit.
    async fn current(&self) -> Result<MutexGuard<'_, Held>> {
        let mut held = self.held.lock().await;
        if held.current_at.is_none_or(|at| at.elapsed() >= self.refresh) {
            self.catch_up(&mut held).await?;
        }
        Ok(held)
    }

    /// Makes a change that depends on what is there; `None`: it does not apply. True: it was made.
    async fn change(&self, make: impl Fn(&All) -> Option<Vec<Change>>) -> Result<bool> {
        let mut held = self.held.lock().await;
        for attempt in 0..TRIES_MAX {
            if held.is_too_old() {
                self.load(&mut held).await?;
            }
            let Some(changes) = make(&held.documents) else {
                // It may apply to what others wrote meanwhile.
                let before = held.version;
                self.catch_up(&mut held).await?;
                if held.version == before {
                    return Ok(false);
                }
                continue;
            };
            if changes.is_empty() {
                // What is to be checked has to be true now.
                let before = held.version;
                self.catch_up(&mut held).await?;
                if held.version == before {
                    return Ok(true);
                }
                continue;
            }
            let entry = Entry { id: Uuid::new_v4().to_string(), changes };
            if self.write(&entry, held.version + 1).await? == Written::Done && !self.is_behind(&mut held).await? {
                apply(&mut held.documents, entry);
                held.version += 1;
                held.current_at = Some(Instant::now());
                self.summarise(&held).await;
                return Ok(true);
            }
            let longest = (10 << attempt.min(10)).min(PAUSE_MAX_MS);
            tokio::time::sleep(Duration::from_millis(Uuid::new_v4().as_u64_pair().1 % longest)).await;
            self.catch_up(&mut held).await?;
        }
        Err(Error::Contended("state"))
    }

    async fn write(&self, entry: &Entry, version: u64) -> Result<Written> {
        let path = self.entry(version);
        let content = Bytes::from(serde_json::to_vec(entry).unwrap_or_default());
        let error = match self.store.put_opts(&path, content.into(), PutOptions::from(PutMode::Create)).await {
            Ok(_) => return Ok(Written::Done),
            Err(error) => error,
        };
        // The answer to a write that succeeded may have been lost.
        let found = self.read::<Entry>(&path).await?;
        match (found, error) {
            (Some(found), _) if found.id == entry.id => Ok(Written::Done),
            (_, object_store::Error::AlreadyExists { .. }) | (Some(_), _) => Ok(Written::Taken),
            (None, error) => Err(self.failed("write", &path)(error)),
        }
    }

    /// Whether the number that was just written was an old one whose entry had been deleted.
    async fn is_behind(&self, held: &mut Held) -> Result<bool> {
        if !held.is_too_old() {
            return Ok(false);
        }
        let written = held.version + 1;
        let newest = self.versions("snapshot", None).await?.last().map_or(0, |(version, _)| *version);
        if newest < written {
            return Ok(false);
        }
        self.load(held).await?;
        Ok(true)
    }

    /// Writes a snapshot when one is due, and deletes what it makes unnecessary. The change is made, so what fails here
    /// is only told.
    async fn summarise(&self, held: &Held) {
        if !held.version.is_multiple_of(SNAPSHOT_EVERY) {
            return;
        }
        let content = serde_json::to_vec(&Snapshot { documents: flat(&held.documents) }).unwrap_or_default();
        let path = self.snapshot(held.version);
        let written = self.store.put(&path, content.into()).await.map_err(self.failed("write", &path));
        let done = match written {
            Ok(_) => self.tidy().await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            warn!(%error, "the log of the documents could not be summarised; trying again later");
        }
    }

    async fn tidy(&self) -> Result<()> {
        let snapshots = self.versions("snapshot", None).await?;
        let Some([(kept, _), (_, newest_at)]) = snapshots.last_chunk::<2>() else { return Ok(()) };
        let is_old = |at: &chrono::DateTime<chrono::Utc>| (*newest_at - *at).to_std().is_ok_and(|age| age > GRACE);
        let entries = self.versions("log", None).await?;
        let entries = entries.iter().filter(|(version, at)| version <= kept && is_old(at)).map(|(v, _)| self.entry(*v));
        let summaries = snapshots.iter().filter(|(version, at)| version < kept && is_old(at));
        let gone: Vec<Path> = entries.chain(summaries.map(|(version, _)| self.snapshot(*version))).collect();
        let mut deletions = self.store.delete_stream(stream::iter(gone.into_iter().map(Ok)).boxed());
        while deletions.try_next().await.map_err(self.failed("delete", &self.prefix))?.is_some() {}
        Ok(())
    }
}

impl Held {
    /// Entries after this version may have been deleted.
    fn is_too_old(&self) -> bool {
        self.current_at.is_none_or(|at| at.elapsed() > GRACE / 2)
    }
}

fn flat(documents: &All) -> Vec<(String, String, Value)> {
    documents.iter().map(|((kind, key), value)| (kind.clone(), key.clone(), value.clone())).collect()
}

fn apply(documents: &mut All, entry: Entry) {
    for Change { kind, key, to } in entry.changes {
        match to {
            Outcome::Value(value) => drop(documents.insert((kind, key), value)),
            Outcome::Deleted(_) => drop(documents.remove(&(kind, key))),
        }
    }
}

fn change(kind: &str, key: &str, to: Option<Value>) -> Change {
    let to = to.map_or(Outcome::Deleted(true), Outcome::Value);
    Change { kind: kind.to_owned(), key: key.to_owned(), to }
}

#[async_trait]
impl StateStore for BucketDocuments {
    async fn get(&self, kind: &str, key: &str) -> domain::Result<Option<Value>> {
        Ok(self.current().await?.documents.get(&(kind.to_owned(), key.to_owned())).cloned())
    }

    async fn put(&self, kind: &str, key: &str, value: Value) -> domain::Result<()> {
        self.change(|_| Some(vec![change(kind, key, Some(value.clone()))])).await?;
        Ok(())
    }

    async fn swap(&self, changes: Vec<Swap>) -> domain::Result<bool> {
        let make = |all: &All| {
            let found = |swap: &Swap| all.get(&(swap.kind.clone(), swap.key.clone())).cloned();
            let applies = changes.iter().all(|swap| found(swap) == swap.expected);
            let real = changes.iter().filter(|swap| swap.expected != swap.value);
            applies.then(|| real.map(|swap| change(&swap.kind, &swap.key, swap.value.clone())).collect())
        };
        Ok(self.change(make).await?)
    }

    async fn delete(&self, kind: &str, key: &str) -> domain::Result<bool> {
        let at = (kind.to_owned(), key.to_owned());
        Ok(self.change(|all| all.contains_key(&at).then(|| vec![change(kind, key, None)])).await?)
    }

    async fn list(&self, kind: &str) -> domain::Result<Vec<(String, Value)>> {
        let held = self.current().await?;
        let of_kind = held.documents.range((kind.to_owned(), String::new())..).take_while(|((of, _), _)| of == kind);
        Ok(of_kind.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}
