//! The log store that one commit writes through. The library lists the log before a commit, to see whether another writer
//! was faster, and lists and reads it again afterwards, to bring its snapshot up to date. The conditional write of the entry
//! tells the first, and the second is known: it is the entry that was just written. Without this a commit to a bucket takes
//! three times as many requests.

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::DeltaResult;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStore, LogStoreConfig, LogStoreRef, ObjectStoreRef};
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use uuid::Uuid;

/// A version of a table.
type Version = u64;

/// See the module. Made for one commit.
pub(crate) struct CommitLog {
    log: LogStoreRef,
    /// Holds the entry once it is written.
    written: Arc<InMemory>,
}

impl CommitLog {
    pub(crate) fn new(log: LogStoreRef) -> Arc<Self> {
        Arc::new(Self { log, written: Arc::default() })
    }

    fn path(&self, version: Version) -> Result<Path> {
        let root = Path::from_url_path(self.log.config().location().path())?;
        Ok(root.join("_delta_log").join(format!("{version:020}.json")))
    }
}

#[async_trait]
impl LogStore for CommitLog {
    fn name(&self) -> String {
        self.log.name()
    }

    async fn read_commit_entry(&self, version: Version) -> DeltaResult<Option<Bytes>> {
        self.log.read_commit_entry(version).await
    }

    async fn write_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> std::result::Result<(), TransactionError> {
        let outcome = self.log.write_commit_entry(version, entry.clone(), operation).await;
        let CommitOrBytes::LogBytes(bytes) = entry else { return outcome };
        if let Err(error) = outcome {
            // The answer to a write that succeeded may have been lost: then the entry is this one.
            let found = self.log.read_commit_entry(version).await;
            if !matches!(found, Ok(Some(found)) if found == bytes) {
                return Err(error);
            }
        }
        self.written.put(&self.path(version)?, bytes.into()).await?;
        Ok(())
    }

    async fn abort_commit_entry(
        &self,
        version: Version,
        entry: CommitOrBytes,
        operation: Uuid,
    ) -> std::result::Result<(), TransactionError> {
        self.log.abort_commit_entry(version, entry, operation).await
    }

    /// The version that the commit is made from: the write of the entry finds out whether it still is the newest.
    async fn get_latest_version(&self, from: Version) -> DeltaResult<Version> {
        Ok(from)
    }

    fn object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        self.log.object_store(operation)
    }

    fn root_object_store(&self, operation: Option<Uuid>) -> ObjectStoreRef {
        Arc::new(Newest { store: self.log.root_object_store(operation), written: Arc::clone(&self.written) })
    }

    fn config(&self) -> &LogStoreConfig {
        self.log.config()
    }
}

/// The store, whose listings have only the entry that was just written.
#[derive(Debug)]
struct Newest {
    store: ObjectStoreRef,
    written: Arc<InMemory>,
}

impl Display for Newest {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.store)
    }
}

#[async_trait]
impl ObjectStore for Newest {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.written.get_opts(location, options.clone()).await {
            Err(Error::NotFound { .. }) => self.store.get_opts(location, options).await,
            found => found,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.written.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.written.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.written.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
