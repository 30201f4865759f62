//! A table's log as files: what a power cut, a bad disk or a careless hand may have left of it, told without the Delta
//! library. The library takes an empty entry for a commit without rows, so a log is looked at here before it is opened.

use crate::error::{Error, Result};
use crate::location::Location;
use crate::schema::TableName;
use crate::storage::Listed;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime};
use tracing::warn;

/// The library's hint of where the newest checkpoint is.
pub(crate) const POINTER: &str = "_last_checkpoint";
/// How many checkpoints keep their log entries: the newest, and one to fall back on.
const CHECKPOINTS_KEPT: usize = 2;

/// The files of a log, by version.
#[derive(Debug)]
pub(crate) struct Log {
    table: TableName,
    folder: Location,
    entries: BTreeMap<u64, Listed>,
    checkpoints: BTreeMap<u64, Listed>,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// An entry that holds no commit.
    Entry { version: u64, reason: String },
    /// Versions that have neither an entry nor a checkpoint behind them: the first and the last.
    Gap { first: u64, last: u64 },
    /// A checkpoint that can't be read.
    Checkpoint { version: u64, reason: String },
    /// A hint that names no checkpoint.
    Pointer { reason: String },
}

impl Flaw {
    /// Whether the table opens all the same: checkpoints repeat what the entries say.
    pub(crate) fn is_harmless(&self) -> bool {
        matches!(self, Self::Checkpoint { .. } | Self::Pointer { .. })
    }
}

impl Display for Flaw {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { version, reason } => write!(out, "log entry {version} {reason}"),
            Self::Gap { first, last } if first == last => write!(out, "log entry {first} is missing"),
            Self::Gap { first, last } => write!(out, "log entries {first} to {last} are missing"),
            Self::Checkpoint { version, reason } => write!(out, "checkpoint {version} {reason}"),
            Self::Pointer { reason } => write!(out, "{POINTER} {reason}"),
        }
    }
}

impl Log {
    /// Lists the log; empty when the table was never made.
    pub(crate) fn list(root: &Location, table: TableName) -> Result<Self> {
        let folder = root.join("_delta_log");
        let files = folder.list()?;
        let mut log = Self { table, folder, entries: BTreeMap::new(), checkpoints: BTreeMap::new() };
        for file in files {
            let Some((version, rest)) = file.name.split_once('.') else { continue };
            let Some(version) = version.parse().ok().filter(|_| version.len() == 20) else { continue };
            if rest == "json" {
                log.entries.insert(version, file);
            } else if rest.starts_with("checkpoint") && rest.ends_with(".parquet") {
                log.checkpoints.insert(version, file);
            }
        }
        Ok(log)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.checkpoints.is_empty()
    }

    /// Neither the first entry nor a checkpoint can be read, and more than the first is lost: nothing says which files
    /// are alive.
    pub(crate) fn has_no_beginning(&self) -> bool {
        let is_lost = |version| self.entries.get(version).is_none_or(|entry| self.fault_of_entry(entry).is_some());
        let (first, second) = (is_lost(&0), is_lost(&1));
        first && second && self.newest_checkpoint().is_none()
    }

    /// Name of the entry of a version.
    pub(crate) fn entry(version: u64) -> String {
        format!("{version:020}.json")
    }

    /// Entries from this version on: versions and names.
    pub(crate) fn entries_from(&self, version: u64) -> Vec<(u64, String)> {
        self.entries.range(version..).map(|(version, entry)| (*version, entry.name.clone())).collect()
    }

    /// The name of a checkpoint.
    pub(crate) fn checkpoint_at(&self, version: u64) -> Option<&str> {
        self.checkpoints.get(&version).map(|checkpoint| checkpoint.name.as_str())
    }

    /// The newest checkpoint that can be read, by its version.
    pub(crate) fn newest_checkpoint(&self) -> Option<u64> {
        let mut newest_first = self.checkpoints.iter().rev();
        newest_first.find(|(_, checkpoint)| self.fault_of_checkpoint(checkpoint).is_none()).map(|(version, _)| *version)
    }

    /// What is wrong with what an opening reads: the newest checkpoint that stands, the entries after it, and what lies
    /// above them. `thorough`: with everything that lies below, too.
    pub(crate) fn flaws(&self, thorough: bool) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let base = self.newest_checkpoint();
        for (version, path) in &self.checkpoints {
            if (thorough || Some(*version) > base)
                && let Some(reason) = self.fault_of_checkpoint(path)
            {
                flaws.push(Flaw::Checkpoint { version: *version, reason });
            }
        }
        flaws.extend(self.fault_of_pointer(base).map(|reason| Flaw::Pointer { reason }));
        let mut expected = base.map_or(0, |version| version + 1);
        for (version, path) in &self.entries {
            if *version < expected && !thorough {
                continue;
            }
            if *version > expected {
                flaws.push(Flaw::Gap { first: expected, last: version - 1 });
            }
            if let Some(reason) = self.fault_of_entry(path) {
                flaws.push(Flaw::Entry { version: *version, reason });
            }
            expected = expected.max(version + 1);
        }
        // A checkpoint that can't be read, of a version whose entries are gone.
        if let Some((version, _)) = self.checkpoints.last_key_value()
            && *version >= expected
        {
            flaws.push(Flaw::Gap { first: expected, last: *version });
        }
        flaws
    }

    /// Looks at the log before the table is opened. A writer sets a checkpoint aside that can't be read: the entries
    /// and the checkpoint before it say the same. Anything else is not for a start to mend.
    pub(crate) fn check(&self, writes: bool) -> Result<()> {
        let flaws = self.flaws(false);
        if let Some(flaw) = flaws.iter().find(|flaw| !flaw.is_harmless()) {
            return Err(Error::Damaged { table: self.table.as_str(), what: flaw.to_string() });
        }
        for flaw in &flaws {
            if !writes && matches!(flaw, Flaw::Checkpoint { .. }) {
                return Err(Error::Damaged { table: self.table.as_str(), what: flaw.to_string() });
            }
            if writes {
                warn!(table = self.table.as_str(), %flaw, "set aside; the table opens without it");
                self.set_aside(flaw)?;
            }
        }
        Ok(())
    }

    /// Gives the file a name that nobody reads.
    fn set_aside(&self, flaw: &Flaw) -> Result<()> {
        let name = match flaw {
            Flaw::Checkpoint { version, .. } => self.checkpoint_at(*version),
            Flaw::Pointer { .. } => Some(POINTER),
            Flaw::Entry { .. } | Flaw::Gap { .. } => None,
        };
        let Some(name) = name else { return Ok(()) };
        self.folder.rename(name, &format!("unreadable-{}-{name}", uuid::Uuid::new_v4()))
    }

    fn fault_of_pointer(&self, base: Option<u64>) -> Option<String> {
        let text = match self.folder.read(POINTER) {
            Ok(text) => text?,
            Err(error) => return Some(format!("can't be read: {error}")),
        };
        let version = serde_json::from_slice::<Value>(&text).ok().and_then(|hint| hint.get("version")?.as_u64());
        match version {
            None => Some("is torn".into()),
            Some(version) if !self.checkpoints.contains_key(&version) || Some(version) > base => {
                Some(format!("names checkpoint {version}, which isn't there or can't be read"))
            }
            Some(_) => None,
        }
    }

    /// Deletes entries and checkpoints that nobody needs: those before the oldest of the newest two checkpoints that can
    /// be read, and older than the readers' grace. Checkpoints are on the device before they have a name (`store`).
    /// Returns how many files went.
    pub(crate) fn clean(&self, now: SystemTime, grace: Duration) -> Result<u64> {
        let newest_first = self.checkpoints.iter().rev();
        let readable = newest_first.filter(|(_, checkpoint)| self.fault_of_checkpoint(checkpoint).is_none());
        let Some((base, _)) = readable.take(CHECKPOINTS_KEPT).nth(CHECKPOINTS_KEPT - 1) else { return Ok(0) };
        let is_old = |file: &Listed| now.duration_since(file.modified).unwrap_or_default() >= grace;
        // From the oldest on, so that what a power cut leaves of the work is a log without holes.
        let entries = self.entries.range(..*base).map(|(_, entry)| entry).take_while(|entry| is_old(entry));
        let checkpoints = self.checkpoints.range(..*base).map(|(_, checkpoint)| checkpoint);
        let mut gone = 0;
        for file in entries.chain(checkpoints.filter(|checkpoint| is_old(checkpoint))) {
            self.folder.remove(&file.name)?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Why an entry holds no commit; none when it does.
    fn fault_of_entry(&self, entry: &Listed) -> Option<String> {
        // A bucket has no half objects.
        if self.folder.is_bucket() {
            return None;
        }
        match self.folder.read(&entry.name) {
            Ok(content) => fault_of_content(&content.unwrap_or_default()),
            Err(error) => Some(format!("can't be read: {error}")),
        }
    }

    /// Why a checkpoint can't be read; none when its footer, and so its end, is there.
    fn fault_of_checkpoint(&self, checkpoint: &Listed) -> Option<String> {
        if self.folder.is_bucket() {
            return None;
        }
        let file = match self.folder.open(&checkpoint.name) {
            Ok(file) => file,
            Err(error) => return Some(format!("can't be read: {error}")),
        };
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Some("is empty".into());
        }
        ParquetRecordBatchReaderBuilder::try_new(file).err().map(|error| format!("can't be read: {error}"))
    }
}

fn fault_of_content(content: &[u8]) -> Option<String> {
    if content.iter().all(u8::is_ascii_whitespace) {
        return Some("is empty".into());
    }
    let mut lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let torn = lines.any(|line| !serde_json::from_slice::<Value>(line).is_ok_and(|line| line.is_object()));
    torn.then(|| "is torn".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(files: &[(&str, &str)]) -> (tempfile::TempDir, Log) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("_delta_log");
        std::fs::create_dir(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        let log = Log::list(&Location::folder(root.path()), TableName::Raw).unwrap();
        (root, log)
    }

    fn told(files: &[(&str, &str)]) -> String {
        let flaws = log(files).1.flaws(false);
        flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_is_wrong_with_a_log_is_named() {
        let commit = "{\"commitInfo\":{}}\n{\"add\":{}}";
        let (zero, one, three) =
            ("00000000000000000000.json", "00000000000000000001.json", "00000000000000000003.json");
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[(zero, commit), (one, commit)]), "");
        assert_eq!(told(&[(zero, commit), (one, "")]), "log entry 1 is empty");
        assert_eq!(told(&[(zero, commit), (one, &commit[..20])]), "log entry 1 is torn");
        assert_eq!(told(&[(zero, commit), (one, "\0\0\0\0")]), "log entry 1 is torn");
        assert_eq!(told(&[(zero, commit), (three, commit)]), "log entries 1 to 2 are missing");
        assert_eq!(told(&[(one, commit)]), "log entry 0 is missing");
        assert_eq!(told(&[(zero, commit), (POINTER, "")]), "_last_checkpoint is torn");
        let torn = ("00000000000000000001.checkpoint.parquet", "");
        assert_eq!(told(&[(zero, commit), (one, commit), torn]), "checkpoint 1 is empty");
        assert_eq!(told(&[torn]), "checkpoint 1 is empty; log entries 0 to 1 are missing");
    }

    #[test]
    fn a_writer_sets_a_torn_checkpoint_aside_and_refuses_a_torn_entry() {
        let commit = "{\"commitInfo\":{}}";
        let zero = ("00000000000000000000.json", commit);
        let torn = ("00000000000000000000.checkpoint.parquet", "PAR1");
        let (root, log) = log(&[zero, torn, (POINTER, "{\"version\":0}")]);
        assert!(matches!(log.check(false), Err(Error::Damaged { .. })), "a reader moves nothing");
        log.check(true).unwrap();
        let place = Location::folder(root.path());
        let after = Log::list(&place, TableName::Raw).unwrap();
        assert!(after.flaws(true).is_empty() && after.checkpoints.is_empty());
        std::fs::write(root.path().join("_delta_log").join(Log::entry(1)), "").unwrap();
        let error = Log::list(&place, TableName::Raw).unwrap().check(true).unwrap_err().to_string();
        assert!(error.contains("log entry 1 is empty") && error.contains("overheard repair"), "{error}");
    }
}
