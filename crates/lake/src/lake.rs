//! The lake as a whole: its tables, its limits, who may write.

use crate::counts::Counts;
use crate::error::{Error, Result};
use crate::files::make_folder;
use crate::format;
use crate::query::Engine;
use crate::schema::TableName;
use crate::table::Table;
use domain::{Clock, Health};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// Limits of the lake.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the queue partition whose batches are committed here.
    pub partition: String,
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

/// The tables on the local disk, and SQL over them.
pub struct Lake {
    pub(crate) root: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tables: Arc<[Table; 6]>,
    pub(crate) engine: Engine,
    pub(crate) counts: Arc<Counts>,
    /// Batches are committed one after the other; a rewrite stands in the same line.
    pub(crate) writing: Mutex<()>,
    /// When the vacuum ran last; also keeps two maintenances apart.
    pub(crate) maintaining: Mutex<Option<domain::Timestamp>>,
    pub(crate) damage: Arc<DamageReport>,
    read_only: bool,
}

/// Where a query reports a data file that can't be read.
pub(crate) struct DamageReport {
    health: OnceLock<Arc<Health>>,
    clock: Arc<dyn Clock>,
}

impl DamageReport {
    /// Stays until the next start: `overheard repair` needs a stop anyway.
    pub(crate) fn report(&self, what: &str) {
        if let Some(health) = self.health.get() {
            let reason = format!("a data file can't be read: {what}; run `overheard check`");
            health.failed("lake data", reason, self.clock.now());
        }
    }
}

impl Lake {
    /// Opens the lake in a folder (a path, or a `file://` address) and makes what isn't there yet.
    pub async fn open(place: &str, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let root = local(place)?;
        make_folder(&root)?;
        format::check(&root, true)?;
        let mut tables = Vec::with_capacity(TableName::ALL.len());
        for name in TableName::ALL {
            tables.push(Table::open(&root, name).await?);
        }
        Self::of(root, tables, config, clock, false)
    }

    /// Opens a lake for reading beside the process that writes it.
    pub async fn open_read_only(place: &str, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let root = local(place)?;
        format::check(&root, false)?;
        let mut tables = Vec::with_capacity(TableName::ALL.len());
        for name in TableName::ALL {
            tables.push(Table::open_existing(&root, name).await?);
        }
        Self::of(root, tables, config, clock, true)
    }

    fn of(root: PathBuf, tables: Vec<Table>, config: Config, clock: Arc<dyn Clock>, read_only: bool) -> Result<Self> {
        let tables: [Table; 6] = tables.try_into().map_err(|_| Error::Closing)?;
        let engine = Engine::new(&root, &config)?;
        let (writing, maintaining) = (Mutex::new(()), Mutex::new(None));
        let tables = Arc::new(tables);
        let counts = Counts::new(&root, Arc::clone(&tables), config.counts_bytes_max);
        let damage = Arc::new(DamageReport { health: OnceLock::new(), clock: Arc::clone(&clock) });
        Ok(Self { root, config, clock, tables, engine, counts, writing, maintaining, damage, read_only })
    }

    /// Says where damage is to be reported that a query meets.
    pub fn report_to(&self, health: Arc<Health>) {
        // The house has one; a second is not made.
        drop(self.damage.health.set(health));
    }

    /// Where it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn table(&self, name: TableName) -> &Table {
        &self.tables[name as usize]
    }

    pub(crate) fn writable(&self) -> Result<()> {
        if self.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }
}

/// The folder that a place names.
fn local(place: &str) -> Result<PathBuf> {
    match url::Url::parse(place) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().map_err(|()| Error::NotLocal(place.into())),
        Ok(url) if place.contains("://") => Err(Error::NotLocal(url.to_string())),
        _ => Ok(PathBuf::from(place)),
    }
}

/// Runs work on files away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closing))
}
