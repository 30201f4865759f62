//! Files that people drop on the page: taken in whole, then read like those of `overheard import`.

use crate::fault::Fault;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A file as a person gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOrder {
    /// The name that the file has where it comes from.
    pub name: String,
    /// Platform of posts that name none; empty: X is assumed, and the report says so.
    pub platform: String,
    /// Which column or path is which field: `text=Review,created_at=Posted`.
    pub columns: String,
    pub who: String,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// Others are read first.
    Waiting,
    Reading,
    Done,
    /// Nothing of it could be read.
    Failed,
}

/// A file that was dropped since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileImport {
    pub id: String,
    pub name: String,
    pub who: String,
    pub at: DateTime<Utc>,
    pub state: ImportState,
    /// Bytes that were read of it, and that it has.
    pub bytes: u64,
    pub bytes_total: u64,
    /// Posts so far.
    pub posts: u64,
    /// What it was recognised as, what came of it, and what was assumed, rejected or not used; a line each.
    pub lines: Vec<String>,
}

/// Takes files in.
pub trait FileImports: Send + Sync {
    /// Checks an order, and says where the file is to be written. It is removed after it was read.
    fn place(&self, order: &ImportOrder) -> std::result::Result<PathBuf, Fault>;
    /// Reads the file that lies there.
    fn start(&self, order: ImportOrder, place: &Path) -> FileImport;
    /// The last imports, the newest first.
    fn imports(&self) -> Vec<FileImport>;
}
