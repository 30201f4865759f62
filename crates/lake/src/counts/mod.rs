//! What posts are counted by, held in memory as columns of numbers, so that the questions of a dashboard are answered
//! in milliseconds, with any filter.
//!
//! Data files never change, so what was read of one stays right: after a commit only its new files are read. When files
//! of a day were replaced (compaction, deletion, rewriting), that day is read anew. Days are read from the newest on
//! until the memory is used up; what reaches beyond them, and everything until the first reading is through, is asked in
//! SQL. A query of a word in the texts always is.

mod answer;
mod chunk;
mod dictionary;
mod select;
mod vocabulary;

use crate::error::Result;
use crate::files::day_of;
use crate::location::Location;
use crate::storage::blocking;
use crate::table::Table;
pub(crate) use answer::Asked;
use chrono::NaiveDate;
use chunk::{Chunk, Decoded, TABLES};
use domain::Selection;
use select::Selected;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::Mutex;
use tracing::{info, warn};
use vocabulary::Vocabulary;

/// A day in more pieces than this is put together.
const CHUNKS_MAX: usize = 64;

/// The columns, and who reads them.
pub(crate) struct Counts {
    root: Location,
    tables: Arc<[Table; 6]>,
    bytes_max: usize,
    held: RwLock<Held>,
    /// Held by the one who reads; the version of the lake that was read.
    read: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Held {
    vocabulary: Vocabulary,
    days: BTreeMap<NaiveDate, Day>,
    /// Days of the lake before this one are not held.
    since: Option<NaiveDate>,
    /// Posts of days that were held and are no more: their names are still in the vocabulary.
    gone: usize,
}

impl Held {
    fn posts(&self) -> usize {
        self.days.values().flat_map(|day| &day.chunks).map(Chunk::len).sum()
    }

    /// Keeps these days only. When most posts that the vocabulary knows are gone, all are forgotten with it and read
    /// anew, or it would grow for ever.
    fn keep(&mut self, is_kept: impl Fn(NaiveDate) -> bool) {
        let before = self.posts();
        self.days.retain(|day, _| is_kept(*day));
        self.gone += before - self.posts();
        if self.gone > self.posts() {
            *self = Self::default();
        }
    }
}

#[derive(Default)]
struct Day {
    files: HashSet<String>,
    chunks: Vec<Chunk>,
    /// Entities or phrases were there before their posts (a commit was under way).
    is_torn: bool,
}

impl Day {
    fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }
}

/// How a day's reading ended.
#[derive(PartialEq, Eq)]
enum Reading {
    Complete,
    /// Entities or phrases of posts that were not among those read.
    Torn {
        whole: bool,
    },
}

/// The files of one day, by table.
type DayFiles = [Vec<String>; 3];

impl Counts {
    pub(crate) fn new(root: Location, tables: Arc<[Table; 6]>, bytes_max: usize) -> Arc<Self> {
        let (held, read) = (RwLock::default(), Mutex::default());
        Arc::new(Self { root, tables, bytes_max, held, read })
    }

    /// Asks the posts of a selection that are held; none where nothing is held, or where the selection asks for words,
    /// which only the texts tell.
    pub(crate) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        selection: &Selection,
        answer: impl FnOnce(&Asked<'_>) -> Option<T> + Send + 'static,
    ) -> Result<Option<T>> {
        if !selection.words.is_empty() || !self.catch_up().await? {
            return Ok(None);
        }
        let (counts, selection) = (Arc::clone(self), selection.clone());
        blocking(move || Ok(counts.answer(&selection, answer))).await
    }

    /// The first day whose posts are held; none while they are being read, or when none are to be.
    pub(crate) fn since(&self) -> Option<NaiveDate> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).since
    }

    /// Reads everything in the background, if nobody does.
    pub(crate) fn begin(self: Arc<Self>) {
        tokio::spawn(async move {
            let Ok(mut read) = self.read.try_lock() else { return };
            if read.is_none() && self.bytes_max > 0 {
                let began = Instant::now();
                match self.read_changes(&mut read).await {
                    Ok(()) => {
                        let (posts, bytes) = self.size();
                        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                        info!(posts, bytes, ms, "posts are held in memory for counting");
                    }
                    Err(error) => warn!(%error, "posts can't be held in memory, counting goes by SQL"),
                }
            }
        });
    }

    /// Takes in what was committed; false while the first reading goes on.
    async fn catch_up(self: &Arc<Self>) -> Result<bool> {
        if self.bytes_max == 0 {
            return Ok(false);
        }
        if self.held.read().unwrap_or_else(PoisonError::into_inner).since.is_none() {
            Arc::clone(self).begin();
            return Ok(false);
        }
        let mut read = self.read.lock().await;
        self.read_changes(&mut read).await?;
        Ok(true)
    }

    async fn read_changes(self: &Arc<Self>, read: &mut Option<u64>) -> Result<()> {
        let version = TABLES.iter().map(|table| self.tables[*table as usize].version()).sum();
        if *read != Some(version) {
            let counts = Arc::clone(self);
            let days = self.files()?;
            blocking(move || counts.take_in(days)).await?;
            *read = Some(version);
        }
        Ok(())
    }

    /// The files of every day. Posts first: of a commit under way, entities may be seen before their posts and not the
    /// other way round, which [`Day::is_torn`] mends.
    fn files(&self) -> Result<BTreeMap<NaiveDate, DayFiles>> {
        let mut days: BTreeMap<NaiveDate, DayFiles> = BTreeMap::new();
        for (at, table) in TABLES.into_iter().enumerate() {
            for file in self.tables[table as usize].files()? {
                if let Ok(day) = day_of(&file).parse() {
                    days.entry(day).or_default()[at].push(file.path().to_string());
                }
            }
        }
        Ok(days)
    }

    fn take_in(&self, days: BTreeMap<NaiveDate, DayFiles>) -> Result<()> {
        self.change(|held| held.keep(|day| days.contains_key(&day)));
        let mut since = NaiveDate::MIN;
        for (day, files) in days.into_iter().rev() {
            if self.size().1 > self.bytes_max {
                since = day.succ_opt().unwrap_or(day);
                self.change(|held| held.days = held.days.split_off(&since));
                break;
            }
            self.take_in_day(day, files)?;
        }
        self.change(|held| held.since = Some(since));
        Ok(())
    }

    fn take_in_day(&self, day: NaiveDate, files: DayFiles) -> Result<()> {
        // What came after its posts finds them when the whole day is read.
        let is_torn = self.read_day(day, files.clone())? == Some(Reading::Torn { whole: false });
        if is_torn { self.read_day(day, files).map(drop) } else { Ok(()) }
    }

    /// Reads what is new of a day, or all of it; none: nothing is new.
    fn read_day(&self, day: NaiveDate, files: DayFiles) -> Result<Option<Reading>> {
        let named: HashSet<String> = files.iter().flatten().cloned().collect();
        let (keeps, known) = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            let known = held.days.get(&day);
            let grows = |day: &Day| !day.is_torn && day.files.is_subset(&named);
            if known.is_some_and(|day| !day.is_torn && day.files == named) {
                return Ok(None);
            }
            let keeps = known.is_some_and(grows);
            (keeps, known.filter(|_| keeps).map(|day| day.files.clone()).unwrap_or_default())
        };
        let fresh = files.map(|files| files.into_iter().filter(|file| !known.contains(file)).collect());
        let decoded = Decoded::read(&self.root, &fresh)?;
        self.change(|held| {
            let (chunk, is_torn) = decoded.into_chunk(&mut held.vocabulary);
            let day = held.days.entry(day).or_default();
            if !keeps {
                day.chunks.clear();
            }
            day.chunks.push(chunk);
            day.chunks.retain(|chunk| chunk.len() > 0);
            if day.chunks.len() > CHUNKS_MAX {
                day.chunks = vec![Chunk::merged(&day.chunks)];
            }
            (day.files, day.is_torn) = (named, is_torn);
            Ok(Some(if is_torn { Reading::Torn { whole: !keeps } } else { Reading::Complete }))
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Posts, and bytes that they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        (held.posts(), held.vocabulary.bytes() + held.days.values().map(Day::bytes).sum::<usize>())
    }

    fn answer<T>(&self, selection: &Selection, answer: impl FnOnce(&Asked<'_>) -> Option<T>) -> Option<T> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (selection.range.from.date_naive(), selection.range.to.date_naive());
        if first > last {
            return None;
        }
        let is_whole = held.since? <= first;
        let chunks = held.days.range(first..=last).flat_map(|(_, day)| &day.chunks).collect();
        let selected = Selected::of(selection, &held.vocabulary);
        answer(&Asked { vocabulary: &held.vocabulary, selected, chunks, is_whole })
    }
}
