//! A lake in a folder of this machine. What is written is on the device before it has a name.

use crate::error::{Error, Result};
use crate::storage::{Listed, Settings, Storage};
use crate::store::{DurableStore, make_folder, sync_folder, write_durably};
use bytes::Bytes;
use object_store::ObjectStore;
use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A folder.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }
}

impl Storage for Disk {
    fn create(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        File::create_new(&path).map_err(Error::disk("create", path))
    }

    fn keep(&self, name: &str, file: &File) -> Result<()> {
        let path = self.path(name);
        file.sync_all().map_err(Error::disk("sync", &path))?;
        // The file's name, and that of its day.
        path.ancestors().skip(1).take(2).try_for_each(sync_folder)
    }

    fn discard(&self, name: &str) {
        drop(std::fs::remove_file(self.path(name)));
    }

    fn open(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        File::open(&path).map_err(Error::disk("open", path))
    }

    fn fetch(&self, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn sizes(&self, _: &str, names: &[String]) -> Result<HashMap<String, u64>> {
        let mut sizes = HashMap::with_capacity(names.len());
        for name in names {
            match std::fs::metadata(self.path(name)) {
                Ok(metadata) => drop(sizes.insert(name.clone(), metadata.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::disk("look at", self.path(name))(error)),
            }
        }
        Ok(sizes)
    }

    fn read(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(content) => Ok(Some(content.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::disk("read", path)(error)),
        }
    }

    fn write(&self, name: &str, content: Bytes) -> Result<()> {
        let path = self.path(name);
        write_durably(&path, std::iter::once(&content), true).map_err(Error::disk("write", path))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let folder = self.path(folder);
        let failed = || Error::disk("list", &folder);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed())?;
            // A file that was deleted meanwhile is not listed.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file()
                && let Ok(modified) = metadata.modified()
            {
                listed.push(Listed { name: entry.file_name().to_string_lossy().into_owned(), modified });
            }
        }
        Ok(listed)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        std::fs::remove_file(&path).map_err(Error::disk("delete", path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        std::fs::rename(&from, &to).map_err(Error::disk("rename", from))?;
        to.parent().map_or(Ok(()), sync_folder)
    }

    fn probe(&self) -> Result<()> {
        Ok(())
    }

    fn tidy(&self, _: &str, _: &[String], _: Duration) {}

    fn table(&self, folder: &str) -> Result<(Arc<dyn ObjectStore>, Url)> {
        // The library looks for it.
        make_folder(&self.path(folder))?;
        let root = std::path::absolute(self.path(folder)).map_err(Error::disk("find", self.path(folder)))?;
        let url = Url::from_directory_path(&root).map_err(|()| Error::NotLocal(root.display().to_string()))?;
        Ok((Arc::new(DurableStore::default()), url))
    }

    fn shown(&self, name: &str) -> PathBuf {
        self.path(name)
    }

    fn traces(&self) -> Vec<String> {
        let root = self.root.canonicalize().unwrap_or_else(|_| self.root.clone());
        let path = root.to_string_lossy().into_owned();
        // Object stores name files without the first slash.
        let store = path.trim_start_matches('/').to_owned();
        vec![path, store]
    }

    fn scratch(&self) -> PathBuf {
        self.root.join(".spill")
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::Folder(self.root.clone()))
    }
}
