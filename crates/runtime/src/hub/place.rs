//! Puts a downloaded model in its place. It is brought beside the version that is there and tried before it takes that
//! one's place: what is in use stays whole until the other is, and is never a mixture of two versions.

use super::Hub;
use anyhow::{Context, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

impl Hub {
    /// Downloads the model `id`, tries it and puts it into `folder`; gives what the trial gave.
    pub(crate) async fn bring<T>(
        &self,
        id: &str,
        revision: &str,
        folder: &Path,
        try_out: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let new = beside(folder, "new");
        link(folder, &new)?;
        self.download(id, revision, &new).await?;
        let tried = try_out(&new).with_context(|| format!("{id} can't be used"));
        match tried {
            Ok(_) => replace(folder, &new).with_context(|| format!("put {} in its place", folder.display()))?,
            Err(_) => fs::remove_dir_all(&new).with_context(|| format!("delete {}", new.display()))?,
        }
        tried
    }
}

/// A folder that is not listed, for a version of a model that is not in its place.
fn beside(folder: &Path, version: &str) -> PathBuf {
    folder.with_file_name(format!(".{}.{version}", folder.file_name().unwrap_or_default().to_string_lossy()))
}

/// Links the files of a model into another folder, where they are not there, so that those that did not change need no
/// download. A changed one replaces the link, never what it leads to.
fn link(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to).with_context(|| format!("make the folder {}", to.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", from.display()))?.path();
        let linked = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            link(&path, &linked)?;
        } else if !linked.exists() {
            let copied = fs::hard_link(&path, &linked).or_else(|_| fs::copy(&path, &linked).map(drop));
            copied.with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// Puts the folder `new` where `folder` is.
fn replace(folder: &Path, new: &Path) -> io::Result<()> {
    let old = beside(folder, "old");
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    if folder.exists() {
        fs::rename(folder, &old)?;
    }
    fs::rename(new, folder)?;
    if old.exists() { fs::remove_dir_all(&old) } else { Ok(()) }
}
