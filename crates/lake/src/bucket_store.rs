//! A bucket as the Delta library and the query engine see it: data files come from the local cache, everything else from
//! the bucket, and every request to the bucket is counted.

use crate::cache::Cache;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt::{self, Display, Formatter};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Files that are fetched at one time at most once each.
const LANES: usize = 32;
/// Memory for log entries.
const ENTRIES_BYTES_MAX: usize = 32 << 20;
/// How often a copy is fetched again that was removed before it was opened.
const TRIES_MAX: usize = 5;

/// The bucket.
#[derive(Debug)]
pub(crate) struct BucketStore {
    remote: Arc<dyn ObjectStore>,
    pub(crate) cache: Cache,
    copies: LocalFileSystem,
    /// Log entries that were read or written: the library reads each several times. Not kept on disk, because a lake that
    /// is made anew has other entries under the same names.
    entries: Mutex<Entries>,
    fetching: [Mutex<()>; LANES],
}

#[derive(Debug, Default)]
struct Entries {
    store: Arc<InMemory>,
    bytes: usize,
}

impl Entries {
    async fn put(&mut self, location: &Path, content: PutPayload) -> Result<()> {
        self.bytes += content.content_length();
        if self.bytes > ENTRIES_BYTES_MAX {
            *self = Self { store: Arc::default(), bytes: content.content_length() };
        }
        self.store.put(location, content).await.map(drop)
    }
}

impl Display for BucketStore {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "BucketStore({})", self.remote)
    }
}

impl BucketStore {
    pub(crate) fn new(remote: Arc<dyn ObjectStore>, cache: Cache) -> Result<Self> {
        let copies = LocalFileSystem::new_with_prefix(cache.folder())?;
        Ok(Self {
            remote,
            cache,
            copies,
            entries: Mutex::default(),
            fetching: std::array::from_fn(|_| Mutex::default()),
        })
    }

    /// Makes sure that there is a copy of a data file.
    pub(crate) async fn fetch(&self, location: &Path) -> Result<()> {
        let name = location.as_ref();
        if self.cache.has(name) {
            return Ok(());
        }
        let lane = BuildHasherDefault::<DefaultHasher>::default().hash_one(name) as usize % LANES;
        let _turn = self.fetching[lane].lock().await;
        if self.cache.has(name) {
            return Ok(());
        }
        count("get");
        let content = self.remote.get(location).await?.bytes().await?;
        self.cache.put(name, &content).map_err(|error| Error::Generic { store: "cache", source: error.into() })
    }

    async fn entry(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let known = Arc::clone(&self.entries.lock().await.store);
        match known.get_opts(location, options.clone()).await {
            Err(Error::NotFound { .. }) => {}
            found => return found,
        }
        count("get");
        let content = self.remote.get(location).await?.bytes().await?;
        let mut entries = self.entries.lock().await;
        entries.put(location, content.into()).await?;
        entries.store.get_opts(location, options).await
    }

    async fn copy_of(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        for _ in 1..TRIES_MAX {
            self.fetch(location).await?;
            match self.copies.get_opts(location, options.clone()).await {
                Err(Error::NotFound { .. }) => {}
                found => return found,
            }
        }
        // The cache is too small for what is read at one time.
        count("get");
        self.remote.get_opts(location, options).await
    }
}

/// Data files never change.
fn is_data(location: &Path) -> bool {
    location.filename().is_some_and(|name| name.starts_with("part-") && name.ends_with(".parquet"))
}

/// Log entries never change while a process runs.
fn is_entry(location: &Path) -> bool {
    let Some((number, "json")) = location.filename().and_then(|name| name.split_once('.')) else { return false };
    number.len() == 20 && location.as_ref().contains("_delta_log/")
}

fn count(operation: &'static str) {
    metrics::counter!("overheard_object_store_requests_total", "operation" => operation).increment(1);
}

#[async_trait]
impl ObjectStore for BucketStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        count("put");
        let written = self.remote.put_opts(location, payload.clone(), options).await?;
        if is_entry(location) {
            self.entries.lock().await.put(location, payload).await?;
        }
        Ok(written)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        count("put");
        self.remote.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_data(location) && !options.head {
            return self.copy_of(location, options).await;
        }
        if is_entry(location) && !options.head {
            return self.entry(location, options).await;
        }
        count(if options.head { "head" } else { "get" });
        self.remote.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.push(self.get_range(location, range.clone()).await?);
        }
        Ok(parts)
    }

    /// Deleted data files leave the cache too.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let folder = self.cache.folder().to_path_buf();
        let locations = locations.inspect(move |location| {
            count("delete");
            if let Ok(location) = location {
                drop(std::fs::remove_file(folder.join(location.as_ref())));
            }
        });
        self.remote.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        count("list");
        self.remote.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        count("list");
        self.remote.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        count("list");
        self.remote.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        count("copy");
        self.remote.copy_opts(from, to, options).await
    }
}
