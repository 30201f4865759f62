//! One Delta table: opened or made, its snapshot, and the one way to change it.
//!
//! A commit here succeeds only on top of the version that it was checked against (the library's retries are off). When
//! another writer was faster, the new version is loaded and the commit is checked again: are all files that it replaces
//! still alive, is the application transaction still where it was? The library's conflict checker is not enough: it
//! overlooks a file that a compaction removed meanwhile, and so would let one row become two.

use crate::commit_log::CommitLog;
use crate::error::{Error, Result};
use crate::files::discard;
use crate::location::Location;
use crate::log::Log;
use crate::schema::{PARTITION, TableName};
use crate::storage::blocking;
use chrono::TimeDelta;
use deltalake::checkpoints::create_checkpoint;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, LogicalFileView, Remove, StructField, Transaction};
use deltalake::operations::create::CreateBuilder;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use domain::{PartitionId, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tracing::debug;

/// How often a commit looks again when another writer is faster.
const TRIES_MAX: u32 = 64;

/// Files that a commit takes out and puts in.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) removes: Vec<Remove>,
    pub(crate) adds: Vec<Add>,
    /// Of which application, from which version to which.
    pub(crate) transaction: Option<Advance>,
    /// The rows stay the same, only the files change.
    pub(crate) keeps_rows: bool,
}

/// An application transaction's step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Advance {
    pub(crate) app: String,
    pub(crate) from: Option<i64>,
    pub(crate) to: i64,
    pub(crate) at: Timestamp,
}

impl Advance {
    /// Transactions of events have a date and are forgotten after [`EVENTS_KEPT`]; those of queues are kept for ever.
    fn transaction(&self) -> Transaction {
        let at_ms = PartitionId::is_of_event(&self.app).then(|| self.at.timestamp_millis());
        Transaction::new_with_last_update(&self.app, self.to, at_ms)
    }
}

/// How long the transaction of an event is kept, as a property of the tables.
const EVENTS_KEPT: &str = "interval 14 days";

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    Done,
    /// What the change was made from is no longer so: make it anew from the snapshot of now.
    Outdated,
}

pub(crate) struct Table {
    pub(crate) name: TableName,
    pub(crate) root: Location,
    snapshot: RwLock<DeltaTable>,
    /// Held for the length of one commit. Versions of application transactions as of the snapshot.
    committing: Mutex<HashMap<String, Option<i64>>>,
    /// Version of the newest checkpoint.
    checkpointed: AtomicU64,
}

impl Table {
    /// Opens the table; makes it, or adds the columns that it lacks.
    pub(crate) async fn open(lake: &Location, name: TableName) -> Result<Self> {
        let root = lake.join(name.as_str());
        let log = looked_at(&root, name, true).await?;
        let table = locate(&root, name)?;
        let table = if log.is_empty() { create(table, name).await? } else { load(table, name).await? };
        let table = evolve(table, name).await?;
        Ok(Self::of(name, root, table, log.newest_checkpoint()))
    }

    /// Opens a table that is there, for reading.
    pub(crate) async fn open_existing(lake: &Location, name: TableName) -> Result<Self> {
        let root = lake.join(name.as_str());
        let log = looked_at(&root, name, false).await?;
        if log.is_empty() {
            return Err(Error::Missing(lake.shown("")));
        }
        let table = load(locate(&root, name)?, name).await?;
        Ok(Self::of(name, root, table, log.newest_checkpoint()))
    }

    fn of(name: TableName, root: Location, table: DeltaTable, checkpoint: Option<u64>) -> Self {
        let checkpointed = AtomicU64::new(checkpoint.unwrap_or(0));
        let committing = Mutex::new(HashMap::new());
        Self { name, root, snapshot: RwLock::new(table), committing, checkpointed }
    }

    /// The table as of now, as far as this process knows.
    pub(crate) fn snapshot(&self) -> DeltaTable {
        self.snapshot.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn version(&self) -> u64 {
        self.snapshot.read().unwrap_or_else(std::sync::PoisonError::into_inner).version().unwrap_or(0)
    }

    fn set(&self, table: DeltaTable) {
        *self.snapshot.write().unwrap_or_else(std::sync::PoisonError::into_inner) = table;
    }

    /// Takes in what other processes committed.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let mut transactions = self.committing.lock().await;
        self.reload(&mut transactions).await
    }

    async fn reload(&self, transactions: &mut HashMap<String, Option<i64>>) -> Result<()> {
        let mut table = self.snapshot();
        let before = table.version();
        if let Err(error) = table.update_state().await {
            // The log entries that this snapshot stands on may have been cleaned away by the writer's process.
            debug!(table = self.name.as_str(), %error, "reading the table anew");
            table = load(locate(&self.root, self.name)?, self.name).await?;
        }
        if table.version() != before {
            transactions.clear();
            self.set(table);
        }
        Ok(())
    }

    /// Up to which version the application's rows are in the table.
    pub(crate) async fn transaction(&self, app: &str) -> Result<Option<i64>> {
        let mut transactions = self.committing.lock().await;
        self.transaction_of(&mut transactions, app).await
    }

    async fn transaction_of(&self, known: &mut HashMap<String, Option<i64>>, app: &str) -> Result<Option<i64>> {
        if let Some(version) = known.get(app) {
            return Ok(*version);
        }
        let table = self.snapshot();
        let failed = Error::delta("read the transaction of", self.name.as_str());
        let version = match table.snapshot() {
            Ok(state) => state.transaction_version(table.log_store().as_ref(), app).await.map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        known.insert(app.to_owned(), version);
        Ok(version)
    }

    /// The files that are alive.
    pub(crate) fn files(&self) -> Result<Vec<LogicalFileView>> {
        let table = self.snapshot();
        let state = table.snapshot().map_err(Error::delta("read", self.name.as_str()))?;
        Ok(state.log_data().iter().collect())
    }

    /// Makes the change durable and visible, or finds that it is outdated. The files of a change that does not become
    /// part of the table are taken off the disk.
    pub(crate) async fn commit(&self, change: &Change) -> Result<Committed> {
        let mut transactions = self.committing.lock().await;
        let outcome = match self.commit_in_turn(change, &mut transactions).await {
            // An attempt of which no answer came, nor a look at its entry, may have been the one that was faster.
            Ok(Committed::Outdated) if self.holds_any_of(&change.adds)? => Ok(Committed::Done),
            outcome => outcome,
        };
        let is_out = match &outcome {
            Ok(Committed::Done) => false,
            Ok(Committed::Outdated) => true,
            // The entry may be there all the same (an error after it had its name): look before anything is deleted. In
            // a bucket it may even appear later, so the files stay until the vacuum.
            Err(_) => {
                transactions.clear();
                !self.root.is_bucket()
                    && self.reload(&mut transactions).await.is_ok()
                    && !self.holds_any_of(&change.adds)?
            }
        };
        if is_out {
            let (root, adds) = (self.root.clone(), change.adds.clone());
            blocking(move || {
                discard(&root, &adds);
                Ok(())
            })
            .await?;
        }
        outcome
    }

    fn holds_any_of(&self, adds: &[Add]) -> Result<bool> {
        let files = self.files()?;
        let alive: HashSet<_> = files.iter().map(LogicalFileView::path).collect();
        Ok(adds.iter().any(|add| alive.contains(add.path.as_str())))
    }

    async fn commit_in_turn(
        &self,
        change: &Change,
        transactions: &mut HashMap<String, Option<i64>>,
    ) -> Result<Committed> {
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                tokio::time::sleep(self.pause(attempt)).await;
                self.reload(transactions).await?;
            }
            let current = match &change.transaction {
                Some(step) => self.transaction_of(transactions, &step.app).await? == step.from,
                None => true,
            };
            if !current || !self.are_alive(&change.removes)? {
                return Ok(Committed::Outdated);
            }
            if self.try_commit(change).await? {
                if let Some(step) = &change.transaction {
                    transactions.insert(step.app.clone(), Some(step.to));
                }
                return Ok(Committed::Done);
            }
            debug!(table = self.name.as_str(), attempt, "another writer was faster");
        }
        Err(Error::Contended(self.name.as_str()))
    }

    /// Random, so that writers that met don't meet again.
    fn pause(&self, attempt: u32) -> Duration {
        let (first, longest) = if self.root.is_bucket() { (20, 2_000) } else { (1, 50) };
        let limit_ms = (first << attempt.min(16)).min(longest);
        Duration::from_millis(uuid::Uuid::new_v4().as_u64_pair().1 % limit_ms)
    }

    fn are_alive(&self, removes: &[Remove]) -> Result<bool> {
        if removes.is_empty() {
            return Ok(true);
        }
        let files = self.files()?;
        let alive: HashSet<_> = files.iter().map(LogicalFileView::path).collect();
        Ok(removes.iter().all(|remove| alive.contains(remove.path.as_str())))
    }

    /// One attempt on top of the snapshot; false when another writer took the version.
    async fn try_commit(&self, change: &Change) -> Result<bool> {
        let mut table = self.snapshot();
        let mut properties = CommitProperties::default()
            .with_max_retries(0)
            // Checkpoints and the cleaning of the log belong to `maintain`: both read the whole log.
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        if let Some(step) = &change.transaction {
            properties = properties.with_application_transaction(step.transaction());
        }
        let removes = change.removes.iter().cloned().map(Action::Remove);
        let actions = removes.chain(change.adds.iter().cloned().map(Action::Add)).collect();
        let commit = {
            let state = table.snapshot().map_err(Error::delta("read", self.name.as_str()))?;
            CommitBuilder::from(properties)
                .with_actions(actions)
                .build(Some(state), CommitLog::new(table.log_store()), operation(change))
                .await
        };
        match commit {
            Ok(done) => {
                table.state = Some(done.snapshot);
                self.set(table);
                Ok(true)
            }
            Err(error) if was_overtaken(&error) => Ok(false),
            Err(error) => Err(Error::delta("commit to", self.name.as_str())(error)),
        }
    }

    /// Writes a checkpoint when so many commits came since the last one, and reads the table anew from it. Not for the
    /// readers' sake alone: the library goes through its list of files once per commit, in as many pieces as there were
    /// commits since it was read, so without this a thousandth commit costs many times the first.
    pub(crate) async fn checkpoint(&self, commits: u64) -> Result<bool> {
        let (table, version) = (self.snapshot(), self.version());
        if version < self.checkpointed.load(Ordering::Relaxed) + commits {
            return Ok(false);
        }
        create_checkpoint(&table, None).await.map_err(Error::delta("checkpoint", self.name.as_str()))?;
        self.checkpointed.store(version, Ordering::Relaxed);
        self.reopen().await?;
        Ok(true)
    }

    /// Deletes the log entries that two checkpoints stand for and that no reader needs.
    pub(crate) async fn clean_log(&self, now: Timestamp, grace: Duration) -> Result<()> {
        let (root, name) = (self.root.clone(), self.name);
        let cleaned = blocking(move || Log::list(&root, name)?.clean(now.into(), grace)).await?;
        // A snapshot remembers the log entries that it was read from, and some may be gone now.
        if cleaned > 0 { self.reopen().await } else { Ok(()) }
    }

    /// Deletes data files that no version within the grace needs; returns how many.
    pub(crate) async fn vacuum(&self, grace: Duration) -> Result<u64> {
        let grace = TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX);
        let properties =
            CommitProperties::default().with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        let vacuum = self.snapshot().vacuum().with_mode(VacuumMode::Full).with_retention_period(grace);
        let vacuum = vacuum.with_enforce_retention_duration(false).with_commit_properties(properties);
        let (_, metrics) = vacuum.await.map_err(Error::delta("vacuum", self.name.as_str()))?;
        self.refresh().await?;
        Ok(metrics.files_deleted.len() as u64)
    }

    /// Reads the table from its newest checkpoint.
    async fn reopen(&self) -> Result<()> {
        let mut transactions = self.committing.lock().await;
        let table = load(locate(&self.root, self.name)?, self.name).await?;
        transactions.clear();
        self.set(table);
        Ok(())
    }
}

fn operation(change: &Change) -> DeltaOperation {
    let partition_by = Some(vec![PARTITION.to_owned()]);
    if change.keeps_rows {
        DeltaOperation::Optimize { predicate: None, target_size: 0 }
    } else if change.removes.is_empty() {
        DeltaOperation::Write { mode: SaveMode::Append, partition_by, predicate: None }
    } else if change.adds.is_empty() {
        DeltaOperation::Delete { predicate: None }
    } else {
        DeltaOperation::Update { predicate: None }
    }
}

fn was_overtaken(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_) | TransactionError::VersionAlreadyExists(_)
            }
    )
}

/// The table's log, fit to be opened.
async fn looked_at(root: &Location, name: TableName, writes: bool) -> Result<Log> {
    let root = root.clone();
    blocking(move || {
        let log = Log::list(&root, name)?;
        log.check(writes)?;
        Ok(log)
    })
    .await
}

fn locate(root: &Location, name: TableName) -> Result<DeltaTable> {
    let (store, url) = root.table()?;
    let builder = DeltaTableBuilder::from_url(url.clone())
        .map(|builder| builder.with_storage_backend(store, url))
        .and_then(DeltaTableBuilder::build);
    builder.map_err(Error::delta("open", name.as_str()))
}

async fn load(mut table: DeltaTable, name: TableName) -> Result<DeltaTable> {
    table.load().await.map_err(Error::delta("open", name.as_str()))?;
    Ok(table)
}

/// Makes the table, or opens the one that another process made at the same moment.
async fn create(table: DeltaTable, name: TableName) -> Result<DeltaTable> {
    let mut pause = Duration::from_millis(20);
    loop {
        let error = match try_create(&table, name).await {
            Ok(made) => return Ok(made),
            Err(error) => error,
        };
        if let Ok(found) = load(table.clone(), name).await {
            return Ok(found);
        }
        if pause > Duration::from_secs(1) {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

async fn try_create(table: &DeltaTable, name: TableName) -> Result<DeltaTable> {
    let stats_columns = format!("{},{}", name.key(), name.time());
    let configuration = [
        // Files carry statistics for these columns only: small log entries, fast commits.
        ("delta.dataSkippingStatsColumns", Some(stats_columns.as_str())),
        ("delta.logRetentionDuration", Some("interval 1 hours")),
        ("delta.deletedFileRetentionDuration", Some("interval 1 hours")),
        ("delta.setTransactionRetentionDuration", Some(EVENTS_KEPT)),
    ];
    let made = CreateBuilder::new()
        .with_log_store(CommitLog::new(table.log_store()))
        .with_table_name(name.as_str())
        .with_columns(fields(name)?)
        .with_partition_columns([PARTITION])
        .with_configuration(configuration)
        .with_save_mode(SaveMode::ErrorIfExists)
        .await;
    made.map_err(Error::delta("create", name.as_str()))?;
    load(table.clone(), name).await
}

fn fields(name: TableName) -> Result<Vec<StructField>> {
    let fields = name.schema().fields().iter();
    let converted = fields.map(|field| field.as_ref().try_into_kernel()).collect::<Result<Vec<StructField>, _>>();
    converted.map_err(|source| Error::Rows { table: name.as_str(), source })
}

/// Adds the columns that an older program didn't know.
async fn evolve(table: DeltaTable, name: TableName) -> Result<DeltaTable> {
    let stored = table.snapshot().map_err(Error::delta("open", name.as_str()))?.schema();
    let mut missing = Vec::new();
    for field in fields(name)? {
        match stored.field(field.name()) {
            None => missing.push(field),
            Some(found) if found.data_type() != field.data_type() => {
                return Err(Error::Schema {
                    table: name.as_str(),
                    column: field.name().clone(),
                    found: found.data_type().to_string(),
                    expected: field.data_type().to_string(),
                });
            }
            Some(_) => {}
        }
    }
    let schema = name.schema();
    if let Some(unknown) = stored.fields().find(|field| schema.field_with_name(field.name()).is_err()) {
        return Err(Error::UnknownColumn { table: name.as_str(), column: unknown.name().clone() });
    }
    if missing.is_empty() {
        return Ok(table);
    }
    table.add_columns().with_fields(missing).await.map_err(Error::delta("add columns to", name.as_str()))
}
