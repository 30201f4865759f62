//! The lake as a whole: its tables, its limits, who may write.

use crate::config::Config;
use crate::counts::Counts;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::make_folder;
use crate::format;
use crate::schema::TableName;
use crate::statement::DamageReport;
use crate::table::Table;
use domain::{Clock, Health};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

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
        let damage = Arc::new(DamageReport::new(Arc::clone(&clock)));
        Ok(Self { root, config, clock, tables, engine, counts, writing, maintaining, damage, read_only })
    }

    /// Says where damage is to be reported that a query meets.
    pub fn report_to(&self, health: Arc<Health>) {
        self.damage.report_to(health);
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
