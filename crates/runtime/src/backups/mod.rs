//! Backups of an installation. Data files never change, so all backups in a folder share them. What does change is copied
//! into a folder of its own, and the manifest that names it is replaced last: a backup that is cut short leaves the one
//! before whole.
//!
//! ```text
//! <backup>/manifest.json                     what belongs to the backup, with sizes and checksums
//! <backup>/lake/<table>/event_date=.../      data files
//! <backup>/snapshot-<time>/overheard.db      queue, users, topics, rules, alerts
//! <backup>/snapshot-<time>/<table>/          log of the table up to the backup's version
//! ```

mod files;
mod make;
mod restore;

pub use make::make;
pub use restore::restore;

use anyhow::{Context, Result, bail};
use domain::Timestamp;
use files::{create, sync_folder};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// When the database was copied: the backup holds every post that was accepted until then.
    pub made_at: Timestamp,
    /// The program that made it.
    pub version: String,
    /// The folder of what changes.
    pub snapshot: String,
    /// Rows of `raw`, where the lake tells.
    pub posts: Option<u64>,
    /// Paths below the backup and below the data folder, with sizes and checksums. The database comes last.
    pub files: Vec<Entry>,
}

/// Told of the bytes that are copied so far, and of all bytes.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the backup's folder.
    pub path: PathBuf,
    /// Where it is restored to, relative to the data folder.
    pub home: PathBuf,
    pub size_bytes: u64,
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a backup; none where there is no backup yet.
    pub fn read(backup: &Path) -> Result<Option<Self>> {
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
    fn write(&self, backup: &Path) -> Result<()> {
        let fresh = backup.join("manifest.json.new");
        let mut file = create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).and_then(|()| file.sync_all())?;
        std::fs::rename(&fresh, backup.join(MANIFEST)).context("replace the manifest")?;
        sync_folder(backup)
    }
}
