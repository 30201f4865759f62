//! The store that the Delta library writes through: the local disk, with every file on the device before its name
//! appears. The library's own local store leaves that to the kernel, so a power cut leaves log entries and checkpoints
//! with a name and no content. Reading is the library's.

use crate::error::{Error as LakeError, Result as LakeResult};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

/// The local disk; "/" is the root of the file system.
#[derive(Debug, Default)]
pub(crate) struct DurableStore(LocalFileSystem);

impl Display for DurableStore {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("DurableStore")
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return self.0.put_opts(location, payload, options).await,
        };
        write_away(self.0.path_to_filesystem(location)?, payload, replace).await
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.0.path_to_filesystem(location)?;
        Ok(Box::new(Upload { path, parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    /// Reads and writes anew, so that the copy is as durable as the rest.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            object_store::CopyMode::Overwrite => PutMode::Overwrite,
            object_store::CopyMode::Create => PutMode::Create,
        };
        let content = self.get_opts(from, GetOptions::default()).await?.bytes().await?;
        self.put_opts(to, content.into(), mode.into()).await.map(drop)
    }
}

/// A file that comes in parts (a checkpoint above 10 MB): held in memory, then written as one.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        self.parts.push(part);
        Box::pin(futures::future::ready(Ok(())))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let payload = std::mem::take(&mut self.parts).into_iter().flatten().collect();
        write_away(self.path.clone(), payload, true).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

/// Writes away from the async threads.
async fn write_away(path: PathBuf, payload: PutPayload, replace: bool) -> Result<PutResult> {
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || write_durably(&path, payload.iter(), replace)).await;
    match written {
        Ok(Ok(())) => Ok(PutResult { e_tag: None, version: None }),
        Ok(Err(source)) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::AlreadyExists { path: shown, source: source.into() })
        }
        Ok(Err(source)) => Err(Error::Generic { store: "local disk", source: source.into() }),
        Err(source) => Err(Error::JoinError { source }),
    }
}

/// Puts a file on the device under its name: content first, then the name, then the folder. Without `replace` a file
/// that has the name already stays, and the error is `AlreadyExists`. What a power cut leaves of it has a name with a
/// `#` in it, which every listing leaves out.
pub(crate) fn write_durably<'a>(
    path: &FilePath,
    content: impl Iterator<Item = &'a Bytes>,
    replace: bool,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(FilePath::new("/"));
    make_folder(folder).map_err(io::Error::other)?;
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!("#{}", uuid::Uuid::new_v4().as_u64_pair().0));
    let staged = PathBuf::from(staged);
    let named = stage(&staged, content).and_then(|()| match replace {
        true => std::fs::rename(&staged, path),
        false => std::fs::hard_link(&staged, path),
    });
    if named.is_err() || !replace {
        // Under its own name or not at all: the staged one is of no use.
        drop(std::fs::remove_file(&staged));
    }
    named?;
    sync_folder(folder).map_err(io::Error::other)
}

/// Makes a folder, and those above it that are missing, and their names durable.
pub(crate) fn make_folder(folder: &FilePath) -> LakeResult<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LakeError::disk("create folder", folder)(error));
        }
        _ => {}
    }
    match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => sync_folder(above),
        _ => sync_folder(FilePath::new(".")),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &FilePath) -> LakeResult<()> {
    let handle = File::open(folder).map_err(LakeError::disk("open folder", folder))?;
    handle.sync_all().map_err(LakeError::disk("sync folder", folder))
}

fn stage<'a>(path: &FilePath, mut content: impl Iterator<Item = &'a Bytes>) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    content.try_for_each(|bytes| file.write_all(bytes))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt as _;

    #[tokio::test]
    async fn a_name_is_taken_once_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = DurableStore::default();
        let path = folder.path().join("table/_delta_log/00000000000000000000.json");
        let location = Path::from_absolute_path(&path).unwrap();
        let create = PutOptions::from(PutMode::Create);
        store.put_opts(&location, "one".into(), create.clone()).await.unwrap();
        let taken = store.put_opts(&location, "two".into(), create).await;
        assert!(matches!(taken, Err(Error::AlreadyExists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        store.put(&location, "three".into()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        let mut upload = store.put_multipart(&location).await.unwrap();
        upload.put_part("fo".into()).await.unwrap();
        upload.put_part("ur".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"four");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing staged is left");
    }
}
