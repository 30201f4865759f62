//! Limits of the lake, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

/// Limits of the lake.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the queue partition whose batches are committed here.
    pub partition: String,
    /// Partitions of that queue; the first one has its name.
    pub partitions: u16,
    /// Largest data file that a compaction makes, in bytes. About five times as much is held in memory while it is made.
    pub file_bytes_max: u64,
    /// So many files of about the same size in one day are made into one.
    pub compaction_files_min: usize,
    /// A day that has got no rows for so long is compacted to as few files as can be.
    pub settled_after: Duration,
    /// Days that are kept, counted by the event; None: for ever.
    pub retention_days: Option<u32>,
    /// A checkpoint is due after so many commits: an opening reads at most these and the checkpoint.
    pub checkpoint_commits: u64,
    /// How long replaced files and old log entries stay for readers that still use them.
    pub readers_grace: Duration,
    /// Memory of all queries together, in bytes; what needs more goes to the disk.
    pub query_memory_bytes: usize,
    /// Disk that queries may use for what doesn't fit the memory, in bytes.
    pub query_spill_bytes: u64,
    /// Folder for what doesn't fit the memory; None: in the lake's own folder.
    pub spill_folder: Option<PathBuf>,
    /// Largest answer of one query, in bytes of its values.
    pub answer_bytes_max: usize,
    /// Memory for the columns that posts are counted by, in bytes: the newest days that fit are held; 0: none.
    pub counts_bytes_max: usize,
    /// How old a query's view of other processes' commits may be.
    pub refresh: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            partition: "posts".into(),
            partitions: 1,
            file_bytes_max: 24 << 20,
            compaction_files_min: 8,
            settled_after: Duration::from_secs(600),
            retention_days: None,
            checkpoint_commits: 50,
            readers_grace: Duration::from_secs(3_600),
            query_memory_bytes: 256 << 20,
            query_spill_bytes: 4 << 30,
            spill_folder: None,
            answer_bytes_max: 64 << 20,
            counts_bytes_max: 1 << 30,
            refresh: Duration::from_secs(2),
        }
    }
}
