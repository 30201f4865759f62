//! What the installation takes of the machine: rows and files of the lake, disk, memory.

use domain::{Analytics, QueryLimits, TableReport};
use lake::Lake;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A measurement is used for this long: many open pages ask every few seconds.
const MEASURED_FOR: Duration = Duration::from_secs(10);

/// What takes a walk over the disk to know.
#[derive(Clone, Default)]
pub(crate) struct Usage {
    pub(crate) tables: Vec<TableReport>,
    pub(crate) disk_used_bytes: u64,
}

/// Measures the data folder and remembers the result for some seconds.
pub(crate) struct Meter {
    data: PathBuf,
    lake: Arc<Lake>,
    last: tokio::sync::Mutex<Option<(Instant, Usage)>>,
}

impl Meter {
    pub(crate) fn new(data: PathBuf, lake: Arc<Lake>) -> Self {
        Self { data, lake, last: tokio::sync::Mutex::default() }
    }

    /// Rows, files and bytes.
    pub(crate) async fn usage(&self) -> Usage {
        let mut last = self.last.lock().await;
        if let Some((at, usage)) = &*last
            && at.elapsed() < MEASURED_FOR
        {
            return usage.clone();
        }
        let mut tables = Vec::new();
        for name in ["raw", "sentiment", "entities", "key_phrases", "anomalies", "alerts"] {
            let counted = self.lake.query(&format!("SELECT count(*) FROM {name}"), QueryLimits::default()).await;
            let rows = counted.ok().and_then(|rows| rows.rows.first()?.first()?.as_u64()).unwrap_or(0);
            let version = self.lake.version();
            tables.push(TableReport { name: name.into(), rows, version, ..TableReport::default() });
        }
        let data = self.data.clone();
        let walked = tokio::task::spawn_blocking(move || {
            for table in &mut tables {
                (table.files, table.size_bytes) = parquet_files(&data.join("lake").join(&table.name));
            }
            Usage { tables, disk_used_bytes: disk_used(&data) }
        });
        let usage = walked.await.unwrap_or_default();
        *last = Some((Instant::now(), usage.clone()));
        usage
    }
}

/// Parquet files below a folder, with their size in bytes.
fn parquet_files(folder: &Path) -> (u64, u64) {
    let (mut files, mut size) = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (more, bytes) = parquet_files(&path);
            files += more;
            size += bytes;
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files += 1;
            size += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    (files, size)
}

fn disk_used(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(
            |entry| {
                if entry.path().is_dir() { disk_used(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }
            },
        )
        .sum()
}

/// Resident memory of this process, bytes, where the system tells.
pub(crate) fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
