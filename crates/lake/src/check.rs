//! Looks at every file of a lake and says what is wrong with it: the logs, the data files against what the log says of
//! them, and the tables against each other. Reads everything once and changes nothing.

use crate::compaction::{fault_of_size, sizes_of};
use crate::error::{Error, Result};
use crate::files::{StoredFile, day_of};
use crate::format;
use crate::location::Location;
use crate::log::Log;
use crate::schema::TableName;
use crate::storage::blocking;
use crate::table::Table;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::DateTime;
use deltalake::kernel::LogicalFileView;
use domain::PartitionId;
use serde_json::Value;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// How a damage is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mend {
    /// `overheard repair` does.
    Repair,
    /// The next start does: a batch was under way.
    Start,
    /// Nothing here holds what is lost.
    Backup,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub table: &'static str,
    /// Relative to the lake's folder.
    pub file: String,
    pub what: String,
    pub mend: Mend,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    pub damages: Vec<Damage>,
    pub files: u64,
    pub rows: u64,
    /// Up to which offset of each partition of the queue the tables of posts have the rows.
    pub transactions: BTreeMap<PartitionId, Vec<(&'static str, Option<i64>)>>,
}

impl Checked {
    fn add(&mut self, table: &'static str, file: impl Into<String>, what: impl Into<String>, mend: Mend) {
        self.damages.push(Damage { table, file: file.into(), what: what.into(), mend });
    }
}

/// Checks a lake. `partitions`: the queue's; `progress` is told of data files read and to read.
pub async fn check(root: &Location, partitions: &[PartitionId], progress: impl Fn(u64, u64)) -> Result<Checked> {
    let mut found = Checked::default();
    let place = root.clone();
    if let Err(error) = blocking(move || format::check(&place, false)).await {
        match error {
            Error::Damaged { what, .. } => found.add("lake", format::FILE, what, Mend::Repair),
            error => return Err(error),
        }
    }
    // Against the order of commits: what a later table has, an earlier one had before.
    let mut tables = Vec::new();
    for name in TableName::ALL.into_iter().rev() {
        if let Some(table) = open(root, name, &mut found).await? {
            let files = table.files()?;
            tables.push((table, files));
        }
    }
    let all = tables.iter().map(|(_, files)| files.len() as u64).sum();
    let mut posts: BTreeMap<TableName, Vec<u64>> = BTreeMap::new();
    for (table, files) in tables {
        if TableName::OF_POSTS.contains(&table.name) {
            for partition in partitions {
                let offset = table.transaction(partition.as_str()).await?;
                found.transactions.entry(partition.clone()).or_default().push((table.name.as_str(), offset));
            }
        }
        let keys = posts.entry(table.name).or_default();
        let sizes = sizes_of(&table.root, &files).await?;
        for file in files {
            let path = format!("{}/{}", table.name.as_str(), file.path());
            let (folder, name, size_fault) = (table.root.clone(), table.name, fault_of_size(&sizes, &file));
            match inspect(folder, name, file, size_fault).await? {
                Ok(held) => {
                    found.rows += held.len() as u64;
                    keys.extend(held);
                }
                Err(what) => found.add(table.name.as_str(), path, what, Mend::Repair),
            }
            found.files += 1;
            progress(found.files, all);
        }
    }
    compare(posts, &mut found);
    Ok(found)
}

/// The table, when its log can be read to the end; what is wrong with the log is told.
async fn open(root: &Location, name: TableName, found: &mut Checked) -> Result<Option<Table>> {
    let folder = root.join(name.as_str());
    let looked = blocking(move || {
        let log = Log::list(&folder, name)?;
        Ok((log.flaws(true), log.is_empty(), log.has_no_beginning()))
    });
    let (flaws, is_empty, has_no_beginning) = looked.await?;
    let place = format!("{}/_delta_log", name.as_str());
    if is_empty {
        found.add(name.as_str(), place, "the table isn't there", Mend::Start);
        return Ok(None);
    }
    for flaw in flaws {
        let lost = name == TableName::Raw && has_no_beginning;
        found.add(name.as_str(), &place, flaw.to_string(), if lost { Mend::Backup } else { Mend::Repair });
    }
    match Table::open_existing(root, name).await {
        Ok(table) => Ok(Some(table)),
        Err(Error::Damaged { .. }) => {
            found.add(name.as_str(), place, "data files can't be checked before the log is mended", Mend::Repair);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Hashes of the keys of a file's rows; or what is wrong with the file.
pub(crate) async fn inspect(
    root: Location,
    table: TableName,
    file: LogicalFileView,
    size_fault: Option<String>,
) -> Result<std::result::Result<Vec<u64>, String>> {
    blocking(move || {
        if let Some(fault) = size_fault {
            return Ok(Err(told(&file, &fault)));
        }
        let read = read_keys(&root, table, &file);
        Ok(match read {
            Ok(Ok(keys)) if file.num_records().is_some_and(|rows| rows != keys.len()) => {
                let fault = format!("holds {} rows", keys.len());
                Err(told(&file, &fault))
            }
            Ok(Ok(keys)) => Ok(keys),
            Ok(Err(fault)) => Err(told(&file, &fault)),
            Err(error) => Err(told(&file, &format!("can't be read: {error}"))),
        })
    })
    .await
}

/// A fault with what the log says of the file: how many rows of which day.
fn told(file: &LogicalFileView, fault: &str) -> String {
    let rows = file.num_records().map_or_else(|| "?".to_owned(), |rows| rows.to_string());
    format!("{fault}; by the log {rows} rows of {}", day_of(file))
}

fn read_keys(
    root: &Location,
    table: TableName,
    file: &LogicalFileView,
) -> Result<std::result::Result<Vec<u64>, String>> {
    let bounds = Bounds::of(table, file);
    let mut stored = StoredFile::open(root, table, &file.path(), None)?;
    let mut keys = Vec::new();
    while let Some(batch) = stored.next_stored()? {
        let Some(column) = batch.column_by_name(table.key()).and_then(|column| column.as_string_opt::<i32>()) else {
            return Ok(Err(format!("has no column {}", table.key())));
        };
        if let Some(fault) = bounds.fault(table, &batch) {
            return Ok(Err(fault));
        }
        keys.extend(column.iter().map(|key| xxh3_64(key.unwrap_or_default().as_bytes())));
    }
    Ok(Ok(keys))
}

/// What the log's statistics say of a file: queries leave files out by them.
struct Bounds {
    key: Option<(String, String)>,
    time: Option<(i64, i64)>,
}

impl Bounds {
    fn of(table: TableName, file: &LogicalFileView) -> Self {
        let stats = file.stats().and_then(|stats| serde_json::from_str::<Value>(&stats).ok()).unwrap_or_default();
        let bound = |which: &str, column: &str| Some(stats.get(which)?.get(column)?.as_str()?.to_owned());
        let pair = |column: &str| Some((bound("minValues", column)?, bound("maxValues", column)?));
        let micros = |text: String| Some(DateTime::parse_from_rfc3339(&text).ok()?.timestamp_micros());
        let time = pair(table.time()).and_then(|(min, max)| Some((micros(min)?, micros(max)?)));
        Self { key: pair(table.key()), time }
    }

    fn fault(&self, table: TableName, batch: &RecordBatch) -> Option<String> {
        let keys = batch.column_by_name(table.key())?.as_string_opt::<i32>()?;
        if let Some((min, max)) = &self.key
            && keys.iter().flatten().any(|key| key < min.as_str() || key > max.as_str())
        {
            return Some(format!("holds a {} outside of the log's statistics", table.key()));
        }
        let times = batch.column_by_name(table.time())?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let (min, max) = self.time?;
        // The checkpoint keeps milliseconds.
        let is_outside = |time: i64| time.div_euclid(1_000) < min.div_euclid(1_000) || time > max + 1_000;
        times
            .iter()
            .flatten()
            .any(is_outside)
            .then(|| format!("holds a {} outside of the log's statistics", table.time()))
    }
}

fn describe(partition: &PartitionId, tables: &[(&str, Option<i64>)]) -> String {
    let offset = |at: &Option<i64>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
    let offsets: Vec<String> = tables.iter().map(|(table, at)| format!("{table} {}", offset(at))).collect();
    format!("the tables hold batches of {partition} up to different offsets: {}", offsets.join(", "))
}

/// Posts that one table has and another lacks.
fn compare(mut posts: BTreeMap<TableName, Vec<u64>>, found: &mut Checked) {
    let differing = found.transactions.iter().filter(|(_, tables)| tables.iter().any(|(_, at)| *at != tables[0].1));
    let described: Vec<String> = differing.map(|(partition, tables)| describe(partition, tables)).collect();
    let same_offset = described.is_empty();
    for what in described {
        found.add("lake", "", what, Mend::Start);
    }
    for name in [TableName::Raw, TableName::Sentiment] {
        let Some(keys) = posts.get_mut(&name) else { continue };
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        if keys.len() < all {
            found.add(name.as_str(), "", format!("{} posts are there twice", all - keys.len()), Mend::Backup);
        }
    }
    let (Some(raw), Some(sentiment)) = (posts.get(&TableName::Raw), posts.get(&TableName::Sentiment)) else { return };
    let lacking = |of: &[u64], from: &[u64]| from.iter().filter(|key| of.binary_search(key).is_err()).count();
    let mend = if same_offset { Mend::Repair } else { Mend::Start };
    let not_understood = lacking(sentiment, raw);
    if not_understood > 0 {
        found.add("sentiment", "", format!("{not_understood} posts of raw are not in sentiment"), mend);
    }
    let without_original = lacking(raw, sentiment);
    if without_original > 0 {
        let mend = if same_offset { Mend::Backup } else { Mend::Start };
        found.add("raw", "", format!("{without_original} posts of sentiment are not in raw"), mend);
    }
    for name in [TableName::Entities, TableName::KeyPhrases] {
        let rows = posts.get(&name).map_or(0, |keys| lacking(sentiment, keys));
        if rows > 0 {
            found.add(name.as_str(), "", format!("{rows} rows are of posts that are not in sentiment"), mend);
        }
    }
}
