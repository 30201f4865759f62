//! A lake in a bucket. Data files are written to the local cache and uploaded when they are complete; objects appear whole
//! or not at all.

use crate::bucket_config::BucketConfig;
use crate::bucket_store::BucketStore;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::storage::{Listed, Settings, Storage};
use bytes::Bytes;
use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;

/// Files that are downloaded at one time.
const FETCHES: usize = 16;
/// How often a copy is fetched again that was removed before it was opened.
const TRIES_MAX: usize = 5;

/// A bucket and a prefix in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Arc<BucketStore>,
    url: Url,
    prefix: Path,
    scratch: PathBuf,
    settings: Option<BucketConfig>,
}

impl Bucket {
    pub(crate) fn connect(config: &BucketConfig) -> Result<Self> {
        Self::over(config.connect()?, config, Some(config.clone()))
    }

    pub(crate) fn over(
        store: Arc<dyn ObjectStore>,
        config: &BucketConfig,
        settings: Option<BucketConfig>,
    ) -> Result<Self> {
        let (url, prefix) = config.parsed()?;
        register(&url);
        let cache = Cache::open(config.cache.join("files"), config.cache_bytes_max)?;
        let store = BucketStore::new(store, cache).map_err(failed("connect to", config.url.clone().into()))?;
        Ok(Self { store: Arc::new(store), url, prefix, scratch: config.cache.join(".spill"), settings })
    }

    /// The object's place in the bucket.
    fn at(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(object_store::Error) -> Error {
        failed(doing, self.shown(name))
    }
}

fn failed(doing: &'static str, path: PathBuf) -> impl FnOnce(object_store::Error) -> Error {
    move |source| Error::Store { doing, path, source: Box::new(source) }
}

/// Waits for a request on a thread that may wait.
fn wait<T>(request: impl Future<Output = T>) -> T {
    Handle::current().block_on(request)
}

impl Storage for Bucket {
    fn create(&self, name: &str) -> Result<File> {
        self.store.cache.create(self.at(name).as_ref())
    }

    fn keep(&self, name: &str, file: &File) -> Result<()> {
        let mut content = Vec::new();
        let mut from = file;
        // Synced, so that a power cut leaves no half copy under the name.
        let read = file.sync_all().and_then(|()| from.rewind()).and_then(|()| from.read_to_end(&mut content));
        let bytes = read.map_err(Error::disk("read", self.shown(name)))? as u64;
        wait(self.store.put(&self.at(name), content.into())).map_err(self.failed("write", name))?;
        self.store.cache.added(bytes);
        Ok(())
    }

    fn discard(&self, name: &str) {
        let path = self.at(name);
        self.store.cache.remove(path.as_ref());
        drop(wait(self.store.delete(&path)));
    }

    fn open(&self, name: &str) -> Result<File> {
        let path = self.at(name);
        let mut missing = None;
        for _ in 0..TRIES_MAX {
            wait(self.store.fetch(&path)).map_err(self.failed("read", name))?;
            match self.store.cache.read(path.as_ref()) {
                Ok(file) => return Ok(file),
                Err(error) => missing = Some(error),
            }
        }
        Err(Error::disk("open the copy of", self.shown(name))(
            missing.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()),
        ))
    }

    fn fetch(&self, names: &[String]) -> Result<()> {
        let fetches = names.iter().map(|name| {
            let path = self.at(name);
            async move { self.store.fetch(&path).await.map_err(self.failed("read", name)) }
        });
        wait(stream::iter(fetches).buffer_unordered(FETCHES).try_collect())
    }

    fn sizes(&self, folder: &str, names: &[String]) -> Result<HashMap<String, u64>> {
        let listed = self.store.list(Some(&self.at(folder))).map_ok(|object| (object.location, object.size));
        let listed: HashMap<Path, u64> = wait(listed.try_collect()).map_err(self.failed("list", folder))?;
        Ok(names.iter().filter_map(|name| Some((name.clone(), *listed.get(&self.at(name))?))).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Bytes>> {
        let content = wait(async { self.store.get(&self.at(name)).await?.bytes().await });
        match content {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", name)(error)),
        }
    }

    fn write(&self, name: &str, content: Bytes) -> Result<()> {
        wait(self.store.put(&self.at(name), content.into())).map(drop).map_err(self.failed("write", name))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let listed =
            wait(self.store.list_with_delimiter(Some(&self.at(folder)))).map_err(self.failed("list", folder))?;
        let named = listed.objects.into_iter().map(|object| Listed {
            name: object.location.filename().unwrap_or_default().to_owned(),
            modified: object.last_modified.into(),
        });
        Ok(named.collect())
    }

    fn remove(&self, name: &str) -> Result<()> {
        wait(self.store.delete(&self.at(name))).map_err(self.failed("delete", name))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        wait(self.store.rename(&self.at(from), &self.at(to))).map_err(self.failed("rename", from))
    }

    fn probe(&self) -> Result<()> {
        let name = format!("doctor-{}", uuid::Uuid::new_v4());
        let (path, create) = (self.at(&name), PutOptions::from(PutMode::Create));
        let put = |content: &'static str| wait(self.store.put_opts(&path, content.into(), create.clone()));
        put("one").map_err(self.failed("write", &name))?;
        let second = put("two");
        let content = self.read(&name);
        let listed = self.list("");
        self.remove(&name)?;
        let is_kept = content?.is_some_and(|content| content == "one");
        if !is_kept || !matches!(second, Err(object_store::Error::AlreadyExists { .. })) {
            return Err(Error::NoPutIfAbsent(self.url.to_string()));
        }
        match listed?.iter().any(|file| file.name == name) {
            true => Ok(()),
            false => Err(Error::Stale(self.url.to_string())),
        }
    }

    fn tidy(&self, folder: &str, alive: &[String], unused_for: Duration) {
        let wanted = alive.iter().map(|name| self.at(name).to_string()).collect();
        self.store.cache.tidy(self.at(folder).as_ref(), &wanted, unused_for);
    }

    fn table(&self, folder: &str) -> Result<(Arc<dyn ObjectStore>, Url)> {
        let address = format!("{}/{folder}/", self.url);
        let url = Url::parse(&address).map_err(|_| Error::Address(address))?;
        Ok((Arc::clone(&self.store) as _, url))
    }

    fn shown(&self, name: &str) -> PathBuf {
        format!("{}/{name}", self.url).into()
    }

    fn traces(&self) -> Vec<String> {
        let prefix = self.prefix.as_ref();
        let prefix = (!prefix.is_empty()).then(|| format!("{prefix}/"));
        [Some(format!("{}/", self.url)), prefix].into_iter().flatten().collect()
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.clone()
    }

    fn folder(&self) -> Option<&std::path::Path> {
        None
    }

    fn settings(&self) -> Option<Settings> {
        self.settings.clone().map(Settings::Bucket)
    }
}

/// The library's own log store, for addresses of this scheme. It relies on put-if-absent, which every store here has.
struct PutIfAbsent;

impl LogStoreFactory for PutIfAbsent {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> deltalake::DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

fn register(url: &Url) {
    if let Ok(scheme) = Url::parse(&format!("{}://", url.scheme())) {
        logstore_factories().entry(scheme).or_insert_with(|| Arc::new(PutIfAbsent));
    }
}
