//! What the installation takes of the machine: rows and files of the lake, disk, memory.

use domain::TableReport;
use lake::{Contents, Lake};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A measurement is used for this long: many open pages ask every few seconds.
const MEASURED_FOR: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
pub(crate) struct Usage {
    pub(crate) tables: Vec<TableReport>,
    pub(crate) disk_used_bytes: u64,
    pub(crate) disk_free_bytes: Option<u64>,
}

/// Measures the installation and remembers the result for some seconds.
pub(crate) struct Meter {
    data: PathBuf,
    lake: Arc<Lake>,
    last: tokio::sync::Mutex<Option<(Instant, Usage)>>,
}

impl Meter {
    pub(crate) fn new(data: PathBuf, lake: Arc<Lake>) -> Self {
        Self { data, lake, last: tokio::sync::Mutex::default() }
    }

    /// The lake's tables as its logs have them, and the disk.
    pub(crate) async fn usage(&self) -> Usage {
        let mut last = self.last.lock().await;
        if let Some((at, usage)) = &*last
            && at.elapsed() < MEASURED_FOR
        {
            return usage.clone();
        }
        let tables = match self.lake.tables_now().await {
            Ok(tables) => tables.iter().map(report).collect(),
            Err(error) => {
                tracing::warn!(%error, "the lake's tables can't be read");
                Vec::new()
            }
        };
        let data = self.data.clone();
        let measured = tokio::task::spawn_blocking(move || Usage {
            tables,
            disk_used_bytes: disk_used(&data),
            disk_free_bytes: fs4::available_space(&data).ok(),
        });
        let usage = measured.await.unwrap_or_default();
        *last = Some((Instant::now(), usage.clone()));
        usage
    }
}

fn report(table: &Contents) -> TableReport {
    TableReport {
        name: table.table.as_str().into(),
        rows: table.files.iter().filter_map(|file| file.rows).sum(),
        files: table.files.len() as u64,
        size_bytes: table.files.iter().map(|file| file.size_bytes).sum(),
        version: table.version,
    }
}

/// Bytes of all files below a folder.
fn disk_used(folder: &Path) -> u64 {
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => disk_used(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(size).sum()
}

/// Resident memory of this process, bytes, where the system tells.
pub(crate) fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
