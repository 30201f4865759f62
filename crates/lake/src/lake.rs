//! The lake as a whole: its tables, its limits, who may write.

use crate::config::Config;
use crate::counts::Counts;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::format;
use crate::location::Location;
use crate::schema::TableName;
use crate::statement::DamageReport;
use crate::storage::blocking;
use crate::table::Table;
use domain::{Clock, Health};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The tables, and SQL over them.
pub struct Lake {
    pub(crate) root: Location,
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
    /// Opens the lake and makes what isn't there yet.
    pub async fn open(root: impl Into<Location>, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let root = root.into();
        check_format(&root, true).await?;
        let mut tables = Vec::with_capacity(TableName::ALL.len());
        for name in TableName::ALL {
            tables.push(Table::open(&root, name).await?);
        }
        Self::of(root, tables, config, clock, false)
    }

    /// Opens a lake for reading beside the process that writes it.
    pub async fn open_read_only(root: impl Into<Location>, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let root = root.into();
        check_format(&root, false).await?;
        let mut tables = Vec::with_capacity(TableName::ALL.len());
        for name in TableName::ALL {
            tables.push(Table::open_existing(&root, name).await?);
        }
        Self::of(root, tables, config, clock, true)
    }

    fn of(root: Location, tables: Vec<Table>, config: Config, clock: Arc<dyn Clock>, read_only: bool) -> Result<Self> {
        let tables: [Table; 6] = tables.try_into().map_err(|_| Error::Closing)?;
        let engine = Engine::new(&root, &config)?;
        let (writing, maintaining) = (Mutex::new(()), Mutex::new(None));
        let tables = Arc::new(tables);
        let counts = Counts::new(root.clone(), Arc::clone(&tables), config.counts_bytes_max);
        let damage = Arc::new(DamageReport::new(Arc::clone(&clock)));
        Ok(Self { root, config, clock, tables, engine, counts, writing, maintaining, damage, read_only })
    }

    /// Says where damage is to be reported that a query meets.
    pub fn report_to(&self, health: Arc<Health>) {
        self.damage.report_to(health);
    }

    /// Where it lies.
    pub fn root(&self) -> &Location {
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

async fn check_format(root: &Location, writes: bool) -> Result<()> {
    let root = root.clone();
    blocking(move || format::check(&root, writes)).await
}
