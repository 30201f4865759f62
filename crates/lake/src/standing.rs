//! What the lake holds, for those who compare it with a queue or copy it: how far a queue's transactions have come, which
//! queue writes here, which posts are there, and the files of a version.
//!
//! ```text
//! <lake>/queue.id        identity of the queue that writes here, one line
//! ```

use crate::error::{Error, Result};
use crate::files::{StoredFile, blocking, day_of, sync_folder};
use crate::lake::Lake;
use crate::schema::TableName;
use arrow::array::AsArray;
use chrono::NaiveDate;
use domain::PartitionId;
use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;

/// Name of the file that names the queue.
const OWNER: &str = "queue.id";
/// How often the tables are looked at until all stand at the same offset: a batch moves one after the other.
const LOOKS_MAX: usize = 200;

/// A table at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    pub table: TableName,
    /// Version of the log.
    pub version: u64,
    /// The files that are alive.
    pub files: Vec<File>,
}

/// A data file; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the table's folder.
    pub path: String,
    pub size_bytes: u64,
    /// None: the log doesn't tell.
    pub rows: Option<u64>,
}

/// All tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Up to which offset the posts of the first partition are in every table.
    pub committed: Option<u64>,
    pub tables: Vec<Contents>,
}

impl Lake {
    /// The lowest and the highest offset of the queue's transactions over the tables of posts (0: a table without one);
    /// none when no table has a transaction of this queue. They differ when a crash cut a batch short.
    pub async fn transactions(&self, queue: &str) -> Result<Option<(u64, u64)>> {
        let mut found = Vec::new();
        for name in TableName::OF_POSTS {
            let version = self.table(name).transaction(queue).await?;
            found.push(version.and_then(|version| u64::try_from(version).ok()));
        }
        let least = found.iter().copied().min().flatten();
        let most = found.iter().copied().max().flatten();
        Ok(least.zip(most).or(most.map(|most| (0, most))))
    }

    /// Whether a post was ever written here.
    pub fn has_posts(&self) -> Result<bool> {
        Ok(!self.table(TableName::Raw).files()?.is_empty())
    }

    /// The identity of the queue that writes here, where it is known.
    pub fn owner(&self) -> Result<Option<String>> {
        let path = self.root.join(OWNER);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::disk("read", path)(error)),
        }
    }

    /// From now on this queue writes here.
    pub fn set_owner(&self, queue: &str) -> Result<()> {
        let (path, fresh) = (self.root.join(OWNER), self.root.join("queue.id.new"));
        let written = std::fs::File::create(&fresh).and_then(|mut file| {
            writeln!(file, "{queue}")?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&fresh, &path)).map_err(Error::disk("write", &path))?;
        sync_folder(&self.root)
    }

    /// Takes these posts out of every table, as if their platform had deleted them.
    pub async fn remove_posts(&self, ids: &HashSet<String>) -> Result<()> {
        self.writable()?;
        let _turn = self.writing.lock().await;
        self.delete(ids).await
    }

    /// The data files of `raw`: for [`Self::posts_in`].
    pub fn raw_files(&self) -> Result<Vec<String>> {
        Ok(self.table(TableName::Raw).files()?.iter().map(|file| file.path().to_string()).collect())
    }

    /// The posts in a data file of `raw`, with their day (counted from 1970-01-01).
    pub async fn posts_in(&self, file: &str) -> Result<(Vec<String>, i64)> {
        let files = self.table(TableName::Raw).files()?;
        let day = files.iter().find(|known| known.path() == file).and_then(|file| day_of(file).parse().ok());
        let day = day.unwrap_or(NaiveDate::MIN).signed_duration_since(NaiveDate::default()).num_days();
        let (root, file) = (self.table(TableName::Raw).root.clone(), file.to_owned());
        let ids = blocking(move || {
            let mut stored = StoredFile::open(&root, TableName::Raw, &file, Some(TableName::Raw.key()))?;
            let mut ids = Vec::new();
            while let Some(batch) = stored.next_stored()? {
                let keys = batch.column(0).as_string_opt::<i32>();
                ids.extend(keys.into_iter().flatten().flatten().map(str::to_owned));
            }
            Ok(ids)
        });
        Ok((ids.await?, day))
    }

    /// All tables as of one moment between two batches, as another process may be writing them. A batch whose records
    /// all lie at or below the offset in `replayed`, which names every partition of the queue, may be in some tables only:
    /// the queue lends it again.
    pub async fn snapshot(&self, replayed: &[(PartitionId, u64)]) -> Result<Snapshot> {
        for _ in 0..LOOKS_MAX {
            for name in TableName::ALL {
                self.table(name).refresh().await?;
            }
            let (mut committed, mut is_whole) = (None, true);
            for (partition, replayed) in replayed {
                let transactions = self.transactions(partition.as_str()).await?;
                committed = committed.or(transactions.map(|(least, _)| least));
                is_whole &= !transactions.is_some_and(|(least, most)| least != most && most > *replayed);
            }
            let tables = TableName::ALL.into_iter().map(|name| self.contents(name)).collect::<Result<Vec<_>>>()?;
            if is_whole {
                return Ok(Snapshot { committed, tables });
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Err(Error::Contended(TableName::Sentiment.as_str()))
    }

    /// Every table as it is now. A batch that is being committed may be in some of them only.
    pub async fn tables_now(&self) -> Result<Vec<Contents>> {
        for name in TableName::ALL {
            self.table(name).refresh().await?;
        }
        TableName::ALL.into_iter().map(|name| self.contents(name)).collect()
    }

    fn contents(&self, name: TableName) -> Result<Contents> {
        let table = self.table(name);
        let (version, files) = (table.version(), table.files()?);
        let files = files.iter().map(|file| File {
            path: file.path().to_string(),
            size_bytes: u64::try_from(file.size()).unwrap_or(0),
            rows: file.num_records().and_then(|rows| u64::try_from(rows).ok()),
        });
        Ok(Contents { table: name, version, files: files.collect() })
    }
}

impl Contents {
    /// The log entries and checkpoint files that make up this version, by name within the table's `_delta_log`.
    pub fn log_files(&self, lake: &Path) -> Result<Vec<String>> {
        let log = lake.join(self.table.as_str()).join("_delta_log");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&log).map_err(Error::disk("read folder", &log))? {
            let entry = entry.map_err(Error::disk("read folder", &log))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        let version = |name: &str| name.get(..20).and_then(|digits| digits.parse::<u64>().ok());
        let is_checkpoint = |name: &str| name.contains(".checkpoint.") && name.ends_with(".parquet");
        let checkpoints = names.iter().filter(|name| is_checkpoint(name)).filter_map(|name| version(name));
        let from = checkpoints.filter(|found| *found <= self.version).max();
        names.retain(|name| {
            let wanted = version(name).is_some_and(|found| found >= from.unwrap_or(0) && found <= self.version);
            wanted && (name.ends_with(".json") || (is_checkpoint(name) && version(name) == from))
        });
        names.sort();
        let entries: Vec<u64> =
            names.iter().filter(|name| name.ends_with(".json")).filter_map(|n| version(n)).collect();
        let first = from.map_or(0, |from| from + 1);
        match (first..=self.version).all(|wanted| entries.contains(&wanted)) {
            true => Ok(names),
            false => Err(Error::Contended(self.table.as_str())),
        }
    }
}
