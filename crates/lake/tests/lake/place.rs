//! Where the tests keep their lakes: a folder, a bucket, and a bucket that answers as the real ones do on a bad day.

use async_trait::async_trait;
use futures::stream::BoxStream;
use lake::{BucketConfig, Location};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Runs tests that take a [`Place`] on each of the places, which are functions of [`Place`].
macro_rules! on_places {
    ([$($place:ident),*] $tests:tt) => { $(crate::place::on_places!(@ $place $tests);)* };
    (@ $place:ident { $($test:ident),* $(,)? }) => {
        mod $place {
            $(#[tokio::test] async fn $test() { super::$test(crate::place::Place::$place()).await; })*
        }
    };
}
pub(crate) use on_places;

/// What goes wrong with the writing of a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// 409: another request for the same object is under way, nothing was written.
    Conflict,
    /// 412 to the client's own second try: the first one was written and its answer lost.
    WrittenAndRefused,
    /// The same, and the object can't be read at once.
    WrittenAndUnreadable,
    /// 503: nothing was written.
    Unavailable,
    /// The answer never came: written.
    WrittenAndTimedOut,
}

/// Faults of a bad day that a commit deals with by itself.
const BAD_DAY: [Fault; 5] =
    [Fault::None, Fault::Conflict, Fault::WrittenAndRefused, Fault::Conflict, Fault::WrittenAndRefused];

/// A place for one lake.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) store: Option<Arc<TestStore>>,
    opened: AtomicUsize,
}

impl Place {
    fn of(store: Option<Arc<TestStore>>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), store, opened: AtomicUsize::new(0) }
    }

    pub(crate) fn disk() -> Self {
        Self::of(None)
    }

    pub(crate) fn bucket() -> Self {
        Self::of(Some(Arc::default()))
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.store.as_ref().is_some_and(|store| !store.always.is_empty())
    }

    pub(crate) fn faulty_bucket() -> Self {
        let store = TestStore { always: BAD_DAY.to_vec(), ..TestStore::default() };
        Self::of(Some(Arc::new(store)))
    }

    /// The place as one more process sees it: each has a cache of its own.
    pub(crate) fn location(&self) -> Location {
        let Some(store) = &self.store else { return Location::folder(self.folder.path().join("hidden-place")) };
        let nth = self.opened.fetch_add(1, Ordering::Relaxed);
        let cache = self.folder.path().join(format!("cache-{nth}"));
        let config = BucketConfig { url: "s3://bucket/hidden-place".into(), cache, ..BucketConfig::default() };
        Location::over(store.clone(), &config).unwrap()
    }

    /// Removes the newest log entry of a table, as a crash before it was written would have it.
    pub(crate) async fn remove_newest_entry(&self, table: &str) {
        let log = format!("hidden-place/{table}/_delta_log");
        match &self.store {
            None => {
                let entries = std::fs::read_dir(self.folder.path().join(log)).unwrap();
                std::fs::remove_file(entries.map(|entry| entry.unwrap().path()).max().unwrap()).unwrap();
            }
            Some(store) => {
                let newest = store.names.lock().unwrap().iter().filter(|name| name.starts_with(&log)).max().cloned();
                store.inner.delete(&Path::from(newest.unwrap())).await.unwrap();
            }
        }
    }

    /// The files below a table's folder with this ending.
    pub(crate) fn count(&self, table: &str, ending: &str) -> usize {
        match &self.store {
            None => count_in(&self.folder.path().join("hidden-place").join(table), ending),
            Some(store) => store.count(&format!("hidden-place/{table}/"), ending),
        }
    }
}

fn count_in(folder: &std::path::Path, ending: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => count_in(&path, ending),
            false => path.to_str().unwrap().ends_with(ending).into(),
        })
        .sum()
}

impl From<&Place> for Location {
    fn from(place: &Place) -> Self {
        place.location()
    }
}

/// A bucket in memory whose log entries are written with faults, and that counts requests.
#[derive(Debug, Default)]
pub(crate) struct TestStore {
    pub(crate) inner: InMemory,
    /// Faults that come round and round.
    always: Vec<Fault>,
    /// Faults that come first, once each.
    pub(crate) next: Mutex<VecDeque<Fault>>,
    entries: AtomicUsize,
    /// Its next reading fails.
    unreadable: Mutex<Option<Path>>,
    requests: Mutex<BTreeMap<&'static str, usize>>,
    names: Mutex<std::collections::BTreeSet<String>>,
}

impl TestStore {
    fn count(&self, prefix: &str, ending: &str) -> usize {
        let names = self.names.lock().unwrap();
        names.iter().filter(|name| name.starts_with(prefix) && name.ends_with(ending)).count()
    }

    /// Takes the requests that were made so far.
    pub(crate) fn take_requests(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn ask(&self, operation: &'static str) {
        *self.requests.lock().unwrap().entry(operation).or_default() += 1;
    }

    fn fault(&self) -> Fault {
        if let Some(fault) = self.next.lock().unwrap().pop_front() {
            return fault;
        }
        let nth = self.entries.fetch_add(1, Ordering::Relaxed);
        if self.always.is_empty() { Fault::None } else { self.always[nth % self.always.len()] }
    }
}

impl Display for TestStore {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.ask("put");
        let is_entry = options.mode == PutMode::Create
            && (location.as_ref().contains("_delta_log") || location.as_ref().contains("/log/"));
        let fault = if is_entry { self.fault() } else { Fault::None };
        let taken = || Error::AlreadyExists { path: location.to_string(), source: "refused".into() };
        let broken = |what: &str| Error::Generic { store: "test", source: what.into() };
        // Other tasks go on meanwhile.
        tokio::task::yield_now().await;
        match fault {
            Fault::Conflict => return Err(taken()),
            Fault::Unavailable => return Err(broken("503 slow down")),
            _ => {}
        }
        if fault == Fault::WrittenAndUnreadable {
            *self.unreadable.lock().unwrap() = Some(location.clone());
        }
        let written = self.inner.put_opts(location, payload, options).await?;
        self.names.lock().unwrap().insert(location.to_string());
        match fault {
            Fault::WrittenAndRefused | Fault::WrittenAndUnreadable => Err(taken()),
            Fault::WrittenAndTimedOut => Err(broken("timed out")),
            _ => Ok(written),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.ask("put");
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.ask(if options.head { "head" } else { "get" });
        if self.unreadable.lock().unwrap().take_if(|unreadable| unreadable == location).is_some() {
            return Err(Error::Generic { store: "test", source: "500".into() });
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        use futures::StreamExt as _;
        let inner = self.inner.clone();
        let locations: Vec<_> = futures::executor::block_on(locations.collect());
        for location in locations.iter().flatten() {
            self.ask("delete");
            self.names.lock().unwrap().remove(location.as_ref());
        }
        inner.delete_stream(futures::stream::iter(locations).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.ask("list");
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.ask("list");
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.ask("list");
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.ask("copy");
        self.inner.copy_opts(from, to, options).await
    }
}
