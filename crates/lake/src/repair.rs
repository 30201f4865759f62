//! Mends what can be mended in a lake on the local disk that nobody else writes. Nothing is deleted: what is taken out lies in the
//! quarantine afterwards, under the path that it had in the lake.

use crate::check::inspect;
use crate::compaction::{fault_of_size, sizes_of};
use crate::error::{Error, Result};
use crate::files::{NewFile, Purpose, StoredFile, day_of};
use crate::format;
use crate::location::Location;
use crate::log::{Flaw, Log, POINTER};
use crate::replace::keep_others;
use crate::schema::{PARTITION, TableName};
use crate::store::{make_folder, sync_folder};
use crate::table::{Advance, Change, Table};
use arrow::array::AsArray;
use chrono::NaiveDate;
use deltalake::kernel::Add;
use domain::{PartitionId, Timestamp};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// What a repair did, or would do.
#[derive(Debug, Clone, Default)]
pub struct Repaired {
    /// Table, file and what was done, in order.
    pub steps: Vec<(&'static str, String, String)>,
    /// Days whose posts have to be understood again from `raw`.
    pub days: BTreeSet<String>,
    /// What is lost here: only a backup brings it back.
    pub lost: bool,
}

/// A repair under way.
struct Repair<'a> {
    /// The folder of `place`.
    root: &'a Path,
    place: &'a Location,
    quarantine: &'a Path,
    partitions: &'a [PartitionId],
    now: Timestamp,
    dry_run: bool,
    done: Repaired,
}

/// Repairs a lake in a folder; with `dry_run` only says what it would do.
pub async fn repair(
    place: &Location,
    quarantine: &Path,
    partitions: &[PartitionId],
    now: Timestamp,
    dry_run: bool,
) -> Result<Repaired> {
    let root = place.as_folder().ok_or(Error::NotOnBucket("`overheard repair`"))?;
    let mut repair = Repair { root, place, quarantine, partitions, now, dry_run, done: Repaired::default() };
    match format::check(place, false) {
        Err(Error::Damaged { .. }) => {
            repair.set_aside("lake", Path::new(format::FILE), "the format number is written anew")?;
            if !dry_run {
                format::write(place)?;
            }
        }
        other => other?,
    }
    let mut cut = Vec::new();
    for name in TableName::ALL {
        if repair.mend_log(name).await? {
            cut.push(name);
        }
    }
    for name in TableName::ALL {
        repair.mend_files(name).await?;
    }
    if !dry_run {
        for name in &cut {
            repair.take_in_what_the_log_lost(*name).await?;
        }
        repair.align(&cut).await?;
    }
    Ok(repair.done)
}

impl Repair<'_> {
    fn say(&mut self, table: &'static str, file: impl Into<String>, did: impl Into<String>) {
        self.done.steps.push((table, file.into(), did.into()));
    }

    /// Moves a file, by its path in the lake, into the quarantine.
    fn set_aside(&mut self, table: &'static str, file: &Path, why: &str) -> Result<()> {
        self.say(table, file.display().to_string(), format!("{why}; the file goes into quarantine"));
        let (from, to) = (self.root.join(file), self.quarantine.join(file));
        if self.dry_run || !from.exists() {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            make_folder(folder)?;
            std::fs::rename(&from, &to).map_err(Error::disk("move into quarantine", &from))?;
            sync_folder(folder)?;
        }
        from.parent().map_or(Ok(()), sync_folder)
    }

    fn in_log(name: TableName, file: &str) -> PathBuf {
        Path::new(name.as_str()).join("_delta_log").join(file)
    }

    /// Mends a table's log; true when commits were cut off it.
    async fn mend_log(&mut self, name: TableName) -> Result<bool> {
        let log = Log::list(&self.place.join(name.as_str()), name)?;
        let flaws = log.flaws(true);
        let mut cut_from: Option<u64> = None;
        for flaw in &flaws {
            match flaw {
                Flaw::Checkpoint { version, .. } => {
                    if let Some(file) = log.checkpoint_at(*version) {
                        self.set_aside(name.as_str(), &Self::in_log(name, file), &flaw.to_string())?;
                    }
                }
                Flaw::Pointer { .. } => {
                    self.set_aside(name.as_str(), &Self::in_log(name, POINTER), &flaw.to_string())?;
                }
                Flaw::Entry { version, .. } if log.newest_checkpoint().is_some_and(|base| *version <= base) => {
                    self.set_aside(name.as_str(), &Self::in_log(name, &Log::entry(*version)), &flaw.to_string())?;
                }
                Flaw::Entry { version: 0, .. } | Flaw::Gap { first: 0, last: 0 } if !log.entries_from(1).is_empty() => {
                    self.set_aside(name.as_str(), &Self::in_log(name, &Log::entry(0)), &flaw.to_string())?;
                    self.write_first_entry(name).await?;
                }
                Flaw::Entry { version, .. } | Flaw::Gap { first: version, .. } => {
                    cut_from = Some(cut_from.map_or(*version, |from| from.min(*version)));
                }
            }
        }
        let Some(from) = cut_from else { return Ok(false) };
        if from == 0 && name == TableName::Raw && !data_files(&self.root.join(name.as_str()))?.is_empty() {
            self.done.lost = true;
            let what = "the beginning of the log is lost: nothing here says which files are alive; restore a backup";
            self.say(name.as_str(), "raw/_delta_log", what);
            return Ok(false);
        }
        for (version, file) in log.entries_from(from) {
            let why = format!("commit {version} follows on one that is lost");
            self.set_aside(name.as_str(), &Self::in_log(name, &file), &why)?;
        }
        Ok(true)
    }

    /// The table's first entry says its columns, which this program knows.
    async fn write_first_entry(&mut self, name: TableName) -> Result<()> {
        self.say(name.as_str(), Self::in_log(name, &Log::entry(0)).display().to_string(), "is written anew");
        if self.dry_run {
            return Ok(());
        }
        let scratch = self.quarantine.join(format!("new-{}", name.as_str()));
        let made = Location::folder(&scratch);
        drop(Table::open(&made, name).await?);
        let (log, entry) = (|place: &Location| place.join(name.as_str()).join("_delta_log"), Log::entry(0));
        let content = log(&made).read(&entry)?.unwrap_or_default();
        log(self.place).write(&entry, content)?;
        std::fs::remove_dir_all(&scratch).map_err(Error::disk("delete", scratch))
    }

    /// Takes data files out of the table that are missing or can't be read.
    async fn mend_files(&mut self, name: TableName) -> Result<()> {
        let folder = self.place.join(name.as_str());
        let log = Log::list(&folder, name)?;
        // A dry run left the log as it is: the data files are looked at when it is mended.
        let blocked = |flaw: &Flaw| !flaw.is_harmless() || self.dry_run;
        if (self.dry_run && log.is_empty()) || log.flaws(false).iter().any(blocked) {
            return Ok(());
        }
        let table = match self.dry_run {
            true => Table::open_existing(self.place, name).await?,
            false => Table::open(self.place, name).await?,
        };
        let mut change = Change::default();
        let files = table.files()?;
        let sizes = sizes_of(&folder, &files).await?;
        for file in files {
            let size_fault = fault_of_size(&sizes, &file);
            let (path, day) = (Path::new(name.as_str()).join(&*file.path()), day_of(&file));
            let remove = file.remove_action(true);
            let Err(what) = inspect(folder.clone(), name, file, size_fault).await? else { continue };
            match name {
                TableName::Raw => self.done.lost = true,
                TableName::Sentiment | TableName::Entities | TableName::KeyPhrases => {
                    self.done.days.insert(day);
                }
                TableName::Anomalies | TableName::Alerts => {}
            }
            change.removes.push(remove);
            self.set_aside(name.as_str(), &path, &format!("{what}; these rows are taken out of the table"))?;
        }
        if !self.dry_run && !change.removes.is_empty() {
            table.commit(&change).await?;
        }
        Ok(())
    }

    /// After commits were cut off: data files that are in no commit any more. Rows of `raw` that `sentiment` still knows
    /// are put back; of the others the days are understood again. The files go into quarantine, else the next vacuum
    /// would delete them.
    async fn take_in_what_the_log_lost(&mut self, name: TableName) -> Result<()> {
        let table = Table::open(self.place, name).await?;
        let alive: HashSet<String> = table.files()?.iter().map(|file| file.path().into_owned()).collect();
        let orphans: Vec<(String, NaiveDate)> =
            data_files(&self.root.join(name.as_str()))?.into_iter().filter(|(file, _)| !alive.contains(file)).collect();
        if name == TableName::Raw {
            self.put_back(&table, &orphans).await?;
        }
        for (file, day) in &orphans {
            self.done.days.insert(day.to_string());
            self.set_aside(name.as_str(), &Path::new(name.as_str()).join(file), "is part of no commit any more")?;
        }
        Ok(())
    }

    async fn put_back(&mut self, raw: &Table, orphans: &[(String, NaiveDate)]) -> Result<()> {
        let sentiment = Table::open(self.place, TableName::Sentiment).await?;
        let (known, mut held) = (keys(&sentiment)?, keys(raw)?);
        let mut change = Change::default();
        let mut rows = 0;
        for (file, day) in orphans {
            // A file that can't be read stays in quarantine as it is.
            let Ok((add, count)) = put_back_file(raw, file, *day, &known, &mut held, self.now) else { continue };
            change.adds.extend(add);
            rows += count;
        }
        let missing = known.difference(&held).count();
        let is_put_back = !change.adds.is_empty();
        if is_put_back {
            raw.commit(&change).await?;
        }
        if (missing == 0 && self.catch_up(raw, &sentiment).await?) || is_put_back {
            self.say("raw", "", format!("{rows} rows are put back that sentiment knows"));
        }
        if missing > 0 {
            self.done.lost = true;
            self.say("raw", "", format!("{missing} posts of sentiment have no original in raw any more"));
        }
        Ok(())
    }

    /// Sets tables that lost commits to the offset that `raw` stands at: what they lack is understood again from `raw`.
    async fn align(&mut self, cut: &[TableName]) -> Result<()> {
        let derived: Vec<TableName> =
            cut.iter().copied().filter(|name| TableName::OF_POSTS[1..].contains(name)).collect();
        if derived.is_empty() {
            return Ok(());
        }
        let Ok(raw) = Table::open(self.place, TableName::Raw).await else { return Ok(()) };
        for name in derived {
            self.catch_up(&Table::open(self.place, name).await?, &raw).await?;
        }
        Ok(())
    }

    /// Sets a table to the offsets that another one stands at, where it is behind; false when it is nowhere.
    async fn catch_up(&self, table: &Table, other: &Table) -> Result<bool> {
        let mut is_behind = false;
        for partition in self.partitions {
            let app = partition.as_str();
            let (from, to) = (table.transaction(app).await?, other.transaction(app).await?);
            if let Some(to) = to.filter(|to| Some(*to) > from) {
                let step = Advance { app: app.to_owned(), from, to, at: self.now };
                table.commit(&Change { transaction: Some(step), ..Change::default() }).await?;
                is_behind = true;
            }
        }
        Ok(is_behind)
    }
}

/// The rows of a file that `known` has and `held` lacks, in a new file; counts them and adds their keys to `held`.
fn put_back_file(
    table: &Table,
    file: &str,
    day: NaiveDate,
    known: &HashSet<String>,
    held: &mut HashSet<String>,
    now: Timestamp,
) -> Result<(Option<Add>, usize)> {
    let mut stored = StoredFile::open(&table.root, table.name, file, None)?;
    let mut fresh = NewFile::create(&table.root, table.name, day, Purpose::Compaction)?;
    let mut rows = 0;
    while let Some(batch) = stored.next()? {
        let keys = batch.column_by_name(table.name.key()).and_then(|column| column.as_string_opt::<i32>());
        let all: HashSet<String> = keys.into_iter().flatten().flatten().map(str::to_owned).collect();
        let others = all.iter().filter(|key| !known.contains(*key) || held.contains(*key)).cloned().collect();
        let kept = keep_others(table.name, &batch, &others)?;
        rows += kept.num_rows();
        fresh.write(&kept)?;
        held.extend(all.difference(&others).cloned());
    }
    if rows == 0 { Ok((None, 0)) } else { Ok((Some(fresh.finish(true, now)?), rows)) }
}

/// The keys of all rows that can be read.
fn keys(table: &Table) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    for file in table.files()? {
        let mut stored = StoredFile::open(&table.root, table.name, &file.path(), Some(table.name.key()))?;
        while let Some(batch) = stored.next_stored()? {
            let keys = batch.column(0).as_string_opt::<i32>();
            found.extend(keys.into_iter().flatten().flatten().map(str::to_owned));
        }
    }
    Ok(found)
}

/// Every data file below a table's folder, with its day.
fn data_files(root: &Path) -> Result<Vec<(String, NaiveDate)>> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).map_err(Error::disk("list", root))? {
        let folder = folder.map_err(Error::disk("list", root))?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let day = name.strip_prefix(PARTITION).and_then(|rest| rest.strip_prefix('='));
        let Some(day) = day.and_then(|day| day.parse().ok()) else { continue };
        for file in std::fs::read_dir(&folder).map_err(Error::disk("list", &folder))? {
            let file = file.map_err(Error::disk("list", &folder))?.file_name();
            if let Some(file) = file.to_str().filter(|file| file.ends_with(".parquet")) {
                found.push((format!("{name}/{file}"), day));
            }
        }
    }
    Ok(found)
}
