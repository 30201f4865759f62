//! Maintenance: many small files of a day become few, days beyond the retention go, the log gets its checkpoint, and
//! what nobody reads any more is deleted.
//!
//! Files are gathered by size: eight of about one size become one of the next size, so a row is written about five times
//! in its life, however often it is committed, and a day holds a few dozen files at most. A day that has settled is
//! gathered once more, whatever the sizes. Rows are sorted by event time on the way, which makes the files' time ranges
//! narrow and queries over a range cheap.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{NewFile, Purpose, StoredFile, day_of};
use crate::lake::Lake;
use crate::location::Location;
use crate::schema::TableName;
use crate::storage::blocking;
use crate::table::{Change, Committed, Table};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{NaiveDate, TimeDelta};
use deltalake::kernel::{Add, LogicalFileView};
use domain::Timestamp;
use std::collections::{BTreeMap, HashMap};
use tracing::{info, warn};

/// Rows written at once.
const WRITE_ROWS: usize = 8_192;
/// Files below this are all of one size.
const SMALLEST_BYTES: u64 = 128 * 1024;

/// What a maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Files that were made into fewer.
    pub files_compacted: u64,
    /// Files that they became.
    pub files_made: u64,
    /// Rows that went through it.
    pub rows_compacted: u64,
    /// Files whose day lay beyond the retention.
    pub files_expired: u64,
    /// Files that nobody reads any more, deleted from the disk.
    pub files_deleted: u64,
}

impl Lake {
    /// Does what is due. Takes seconds when much is; commits and queries go on meanwhile. A table that fails is
    /// reported in the log and doesn't hold up the others; the first failure is returned.
    pub async fn maintain(&self, now: Timestamp) -> Result<Maintained> {
        self.writable()?;
        let mut vacuumed_at = self.maintaining.lock().await;
        let grace = TimeDelta::from_std(self.config.readers_grace).unwrap_or(TimeDelta::MAX);
        let vacuum = vacuumed_at.is_none_or(|at| now - at >= grace);
        let (mut done, mut failure) = (Maintained::default(), None);
        let first_kept = self.first_kept(now).await.unwrap_or_else(|error| {
            warn!(%error, "retention refused");
            failure = Some(error);
            None
        });
        for name in TableName::ALL {
            if let Err(error) = self.maintain_table(name, now, first_kept, vacuum, &mut done).await {
                warn!(table = name.as_str(), %error, "maintenance of a table failed");
                failure.get_or_insert(error);
            }
        }
        if vacuum && failure.is_none() {
            *vacuumed_at = Some(now);
        }
        if done != Maintained::default() {
            info!(
                compacted = done.files_compacted,
                made = done.files_made,
                rows = done.rows_compacted,
                expired = done.files_expired,
                deleted = done.files_deleted,
                "lake maintained"
            );
        }
        failure.map_or(Ok(done), Err)
    }

    /// Whether every data file is there with its size; the first that isn't is the error. Reads no file.
    pub async fn check_sizes(&self) -> Result<()> {
        for name in TableName::ALL {
            if let (_, Some(damage)) = whole_files(self.table(name)).await? {
                return Err(damage);
            }
        }
        Ok(())
    }

    /// Removes this process's copies of a bucket's files that were replaced or deleted, and that no query used for as long
    /// as replaced files are kept.
    pub async fn tidy_copies(&self) -> Result<()> {
        for name in TableName::ALL.into_iter().filter(|_| self.root.is_bucket()) {
            let table = self.table(name);
            table.refresh().await?;
            let alive: Vec<String> = table.files()?.iter().map(|file| file.path().into_owned()).collect();
            let (root, unused_for) = (table.root.clone(), self.config.readers_grace);
            blocking(move || {
                root.tidy(&alive, unused_for);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// A data file that is damaged is left as it is and told at the end: the other files get their maintenance.
    async fn maintain_table(
        &self,
        name: TableName,
        now: Timestamp,
        first_kept: Option<NaiveDate>,
        vacuum: bool,
        done: &mut Maintained,
    ) -> Result<()> {
        let table = self.table(name);
        done.files_expired += self.expire(table, first_kept).await?;
        // In a bucket files can't be torn, and a look at every file costs.
        let (whole, mut damage) =
            if table.root.is_bucket() { (table.files()?, None) } else { whole_files(table).await? };
        for bin in plan(whole, now, &self.config) {
            let files = bin.files.len() as u64;
            match self.merge(table, bin, now).await {
                Ok(Some(rows)) => {
                    done.files_compacted += files;
                    done.files_made += 1;
                    done.rows_compacted += rows;
                }
                Ok(None) => {}
                Err(error @ Error::Parquet { .. }) => {
                    damage.get_or_insert(Error::Damaged { table: name.as_str(), what: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        if vacuum {
            done.files_deleted += table.vacuum(self.config.readers_grace).await?;
        }
        table.checkpoint(self.config.checkpoint_commits).await?;
        table.clean_log(now, self.config.readers_grace).await?;
        damage.map_or(Ok(()), Err)
    }

    /// Makes the bin's files into one; returns the rows, or none when the files were changed meanwhile.
    async fn merge(&self, table: &Table, bin: Bin, now: Timestamp) -> Result<Option<u64>> {
        let (name, root) = (table.name, table.root.clone());
        let removes = bin.files.iter().map(|file| file.remove_action(false)).collect();
        let (add, rows) = blocking(move || rewrite_sorted(&root, name, &bin, now)).await?;
        let change = Change { removes, adds: vec![add], keeps_rows: true, ..Change::default() };
        if table.commit(&change).await? == Committed::Outdated {
            return Ok(None);
        }
        metrics::counter!("overheard_lake_compacted_rows_total").increment(rows);
        Ok(Some(rows))
    }
}

/// The files that are there with the size that the log says, and the first that is not, in words.
async fn whole_files(table: &Table) -> Result<(Vec<LogicalFileView>, Option<Error>)> {
    let files = table.files()?;
    let sizes = sizes_of(&table.root, &files).await?;
    let damage = files.iter().find_map(|file| {
        let what = format!("{} {}", file.path(), fault_of_size(&sizes, file)?);
        Some(Error::Damaged { table: table.name.as_str(), what })
    });
    let whole = files.into_iter().filter(|file| fault_of_size(&sizes, file).is_none()).collect();
    Ok((whole, damage))
}

/// The sizes of the files that are there, by path.
pub(crate) async fn sizes_of(root: &Location, files: &[LogicalFileView]) -> Result<HashMap<String, u64>> {
    let (root, names) = (root.clone(), files.iter().map(|file| file.path().into_owned()).collect::<Vec<_>>());
    blocking(move || root.sizes(&names)).await
}

/// Why the file can't be what the log says; none when it is there with its size.
pub(crate) fn fault_of_size(sizes: &HashMap<String, u64>, file: &LogicalFileView) -> Option<String> {
    match sizes.get(&*file.path()) {
        None => Some("is missing".into()),
        Some(size) if *size != bytes(file) => Some(format!("has {size} bytes, the log says {}", bytes(file))),
        Some(_) => None,
    }
}

/// Files of one day that become one.
struct Bin {
    day: NaiveDate,
    files: Vec<LogicalFileView>,
}

/// Which files are worth making into fewer.
fn plan(files: Vec<LogicalFileView>, now: Timestamp, config: &Config) -> Vec<Bin> {
    let mut days: BTreeMap<NaiveDate, Vec<LogicalFileView>> = BTreeMap::new();
    for file in files {
        // A full file is left as it is.
        if bytes(&file) * 4 < config.file_bytes_max * 3
            && let Ok(day) = day_of(&file).parse()
        {
            days.entry(day).or_default().push(file);
        }
    }
    let settled = TimeDelta::from_std(config.settled_after).unwrap_or(TimeDelta::MAX);
    let mut bins = Vec::new();
    for (day, files) in days {
        let last = files.iter().map(LogicalFileView::modification_time).max().unwrap_or(0);
        let is_settled = now.timestamp_millis() - last >= settled.num_milliseconds();
        let (groups, files_min) =
            if is_settled { (vec![files], 2) } else { (by_size(files), config.compaction_files_min.max(2)) };
        for group in groups {
            bins.extend(pack(day, group, config.file_bytes_max).into_iter().filter(|bin| bin.files.len() >= files_min));
        }
    }
    bins
}

fn bytes(file: &LogicalFileView) -> u64 {
    u64::try_from(file.size()).unwrap_or(0)
}

/// Groups of files of about the same size, each group four times the size of the one before.
fn by_size(files: Vec<LogicalFileView>) -> Vec<Vec<LogicalFileView>> {
    let mut groups: BTreeMap<u32, Vec<LogicalFileView>> = BTreeMap::new();
    for file in files {
        let group = (bytes(&file) / SMALLEST_BYTES).max(1).ilog2() / 2;
        groups.entry(group).or_default().push(file);
    }
    groups.into_values().collect()
}

/// Packs files, the oldest first, into bins of at most `bytes_max`.
fn pack(day: NaiveDate, mut files: Vec<LogicalFileView>, bytes_max: u64) -> Vec<Bin> {
    files.sort_by_key(LogicalFileView::modification_time);
    let mut bins: Vec<Bin> = Vec::new();
    let mut room = 0;
    for file in files {
        let size = bytes(&file);
        match bins.last_mut() {
            Some(bin) if size <= room => {
                room -= size;
                bin.files.push(file);
            }
            _ => {
                room = bytes_max.saturating_sub(size);
                bins.push(Bin { day, files: vec![file] });
            }
        }
    }
    bins
}

/// Writes the rows of all files into one, by event time. Holds the rows of one bin in memory.
fn rewrite_sorted(root: &Location, table: TableName, bin: &Bin, now: Timestamp) -> Result<(Add, u64)> {
    root.fetch(bin.files.iter().map(|file| file.path()).collect::<Vec<_>>().iter().map(|path| &**path))?;
    let mut batches = Vec::new();
    for file in &bin.files {
        let mut stored = StoredFile::open(root, table, &file.path(), None)?;
        while let Some(batch) = stored.next()? {
            batches.push(batch);
        }
    }
    let order = in_order_of_time(table, &batches);
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let mut file = NewFile::create(root, table, bin.day, Purpose::Compaction)?;
    for rows in order.chunks(WRITE_ROWS) {
        let failed = |source| Error::Rows { table: table.as_str(), source };
        file.write(&interleave_record_batch(&batches, rows).map_err(failed)?)?;
    }
    Ok((file.finish(false, now)?, order.len() as u64))
}

/// Every row as (batch, row), sorted by time; rows of the same time stay in their order.
fn in_order_of_time(table: TableName, batches: &[RecordBatch]) -> Vec<(usize, usize)> {
    let mut rows = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let times = batch.column_by_name(table.time()).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        for row in 0..batch.num_rows() {
            let time = times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
            rows.push((time, (number, row)));
        }
    }
    rows.sort_unstable();
    rows.into_iter().map(|(_, row)| row).collect()
}
