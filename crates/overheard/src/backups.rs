//! The form of a backup, and the copying of its files. Data files never change, so all backups in a folder share them; what
//! does change lies in a folder of its own, and the manifest that names it is replaced last. So a backup that is cut short
//! leaves the one before whole.
//!
//! ```text
//! <backup>/manifest.json                     what belongs to the backup, with sizes and checksums
//! <backup>/lake/<table>/event_date=.../      data files
//! <backup>/snapshot-<time>/overheard.db      queue, users, topics, rules, alerts
//! <backup>/snapshot-<time>/<table>/          log of the table up to the backup's version
//! ```

use anyhow::{Context, Result, bail};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

pub(crate) const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Read and written at once.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// When the database was copied: the backup holds every post that was accepted until then.
    pub(crate) made_at: Timestamp,
    /// The program that made it.
    pub(crate) version: String,
    /// The folder of what changes.
    pub(crate) snapshot: String,
    /// Rows of `raw`, where the lake tells.
    pub(crate) posts: Option<u64>,
    /// Paths below the backup and below the data folder, with sizes and checksums. The database comes last.
    pub(crate) files: Vec<Entry>,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Relative to the backup's folder.
    pub(crate) path: PathBuf,
    /// Where it is restored to, relative to the data folder.
    pub(crate) home: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
}

impl Manifest {
    /// The manifest of a backup; none where there is no backup yet.
    pub(crate) fn read(backup: &Path) -> Result<Option<Self>> {
        let path = backup.join(MANIFEST);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let manifest: Self = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        if manifest.format > FORMAT {
            bail!("{} was made by a newer program ({}): use that one", path.display(), manifest.version);
        }
        let leads_out = |path: &Path| !path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if let Some(entry) = manifest.files.iter().find(|entry| leads_out(&entry.path) || leads_out(&entry.home)) {
            bail!("{} names a file outside of the backup: {}", path.display(), entry.path.display());
        }
        Ok(Some(manifest))
    }

    /// Makes this the backup's manifest, in one step.
    pub(crate) fn write(&self, backup: &Path) -> Result<()> {
        let fresh = backup.join("manifest.json.new");
        let mut file = create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).and_then(|()| file.sync_all())?;
        std::fs::rename(&fresh, backup.join(MANIFEST)).context("replace the manifest")?;
        sync_folder(backup)
    }
}

/// Copies a file and puts the copy on disk; returns its size and checksum. `read` is told of the bytes as they go.
pub(crate) fn copy(from: &Path, to: &Path, mut read: impl FnMut(u64)) -> std::io::Result<(u64, String)> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)?;
    let mut source = File::open(from)?;
    let unfinished = to.with_extension("unfinished");
    let mut target = create(&unfinished)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = source.read(&mut buffer)?;
        if bytes == 0 {
            break;
        }
        hash.update(&buffer[..bytes]);
        target.write_all(&buffer[..bytes])?;
        size += bytes as u64;
        read(bytes as u64);
    }
    target.sync_all()?;
    std::fs::rename(&unfinished, to)?;
    File::open(folder)?.sync_all()?;
    Ok((size, hex(&hash.finalize())))
}

/// The size and the checksum of a file.
pub(crate) fn checksum(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(&buffer[..bytes]);
        size += bytes as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that only its owner may read: the database holds sessions and tokens.
fn create(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("sync {}", folder.display()))
}

/// All files below a folder, relative to it.
pub(crate) fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.extend(path.strip_prefix(folder).map(Path::to_path_buf)),
            }
        }
    }
    Ok(found)
}
