//! Posts from files, or standard input: JSON (`json`), tables (`tables`, `rows`, `columnar`, `workbook`), packed or in an
//! archive (`unpack`, `zip`), in several encodings (`encoding`); what a file is is told by its content (`recognise`). They
//! are read as fast as they can be stored, or in event time (`replay`). A thread reads and parses one batch while the queue
//! writes the one before; nothing else is held in memory, so the size of the file does not matter. The same file again adds
//! nothing, because posts have stable ids.

mod advice;
mod batches;
mod columnar;
mod encoding;
mod json;
mod reader;
mod recognise;
mod replay;
mod report;
mod rows;
mod tables;
mod unpack;
mod workbook;
mod zip;

use crate::error::{Error, Result};
use crate::kit::ingest;
use crate::record::{ColumnMapping, Origin};
use batches::Batch;
use domain::{Clock, PostQueue, Provenance, SourceId, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub use replay::Pace;
pub use report::{Progress, Report, Summary};

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// An array of objects, or objects one after the other on any number of lines.
    Json,
    Csv,
}

/// What to read and how.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// `-`: standard input.
    pub path: PathBuf,
    /// What people call it.
    pub name: String,
    /// None: by its content.
    pub format: Option<Format>,
    pub source: SourceId,
    /// The platform of posts that name none; empty: X is assumed, and the report says so.
    pub platform: String,
    /// Which column of a table, or key of JSON, is which field.
    pub columns: ColumnMapping,
    /// None: the most frequent candidate in the header.
    pub delimiter: Option<u8>,
    pub pace: Pace,
    /// Moves the dates: in event time, the first post is written now and the others after it at the pace given; as fast
    /// as possible, the newest post is written now and the others before it.
    pub shift_to_now: bool,
    /// Most bytes of text once unpacked; None: no limit.
    pub bytes_max: Option<u64>,
}

impl FileConfig {
    /// A file, read as fast as possible.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = if path.as_os_str() == "-" {
            "standard input".into()
        } else {
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
        };
        let shown = path.display().to_string();
        Self { name: shown, ..Self::named(path, &name) }
    }

    /// The same for a file that goes by another name than its own.
    pub fn named(path: PathBuf, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path,
            format: None,
            source: SourceId(format!("file:{name}")),
            platform: String::new(),
            columns: ColumnMapping::default(),
            delimiter: None,
            pace: Pace::AsFastAsPossible,
            shift_to_now: false,
            bytes_max: None,
        }
    }

    /// Where posts come from that are read now.
    fn origin(&self, received_at: Timestamp) -> Origin {
        Origin {
            source: self.source.clone(),
            platform: self.platform.clone(),
            provenance: Provenance::File,
            received_at,
        }
    }
}

/// The connector.
pub struct FileSource {
    config: FileConfig,
    queue: Arc<dyn PostQueue>,
    clock: Arc<dyn Clock>,
}

impl FileSource {
    pub fn new(config: FileConfig, queue: Arc<dyn PostQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { config, queue, clock }
    }

    /// Reads the file to its end. `progress` is called after every batch. What was stored before a stop stays stored.
    pub async fn run(self, mut progress: impl FnMut(&Progress) + Send, shutdown: CancellationToken) -> Result<Report> {
        let shift = self.shift().await?;
        let mut replay = replay::Replay::new(self.config.pace, shift);
        let mut so_far = Progress { bytes_total: reader::size(&self.config.path), ..Progress::default() };
        let mut report = Report::default();
        let (sender, mut batches) = tokio::sync::mpsc::channel(2);
        let reading = tokio::task::spawn_blocking({
            let (config, clock) = (self.config.clone(), self.clock.clone());
            move || reader::read(&config, &*clock, &mut |batch| sender.blocking_send(batch).is_ok())
        });
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return Err(Error::Stopped),
                batch = batches.recv() => batch,
            };
            let Some(mut batch) = batch else { break };
            if batch.recognised.is_some() {
                so_far.recognised = batch.recognised;
                progress(&so_far);
                continue;
            }
            report.notes.merge(std::mem::take(&mut batch.parsed.notes));
            so_far.bytes = batch.bytes;
            self.settle(batch, &mut replay, &mut so_far, &shutdown, &mut progress).await?;
        }
        report.broken = reading.await.map_err(|_| stopped())??;
        so_far.bytes = so_far.bytes_total.unwrap_or(so_far.bytes);
        progress(&so_far);
        Ok(Report { summary: so_far.summary, ..report })
    }

    /// Reads the file to its end and stores nothing: what an import would have to tell.
    pub async fn check(self) -> Result<Report> {
        if self.config.path.as_os_str() == "-" {
            return Err(Error::Setting(
                "standard input can't be checked first, because it is read once: give a file".into(),
            ));
        }
        let reading = tokio::task::spawn_blocking(move || check(&self.config, &*self.clock));
        reading.await.map_err(|_| stopped())?
    }

    /// Stores one batch, in event time when asked for.
    async fn settle(
        &self,
        batch: Batch,
        replay: &mut replay::Replay,
        so_far: &mut Progress,
        shutdown: &CancellationToken,
        progress: &mut (impl FnMut(&Progress) + Send),
    ) -> Result<()> {
        let source = &self.config.source;
        let origin = self.config.origin(self.clock.now());
        let rejected = ingest::reject(&*self.queue, &origin, None, batch.parsed.rejections).await?;
        so_far.summary.rejected += rejected;
        so_far.summary.read += rejected;
        let mut waiting = batch.parsed.records;
        while !waiting.is_empty() {
            let due = tokio::select! {
                () = shutdown.cancelled() => return Err(Error::Stopped),
                due = replay.due(&mut waiting, &*self.clock) => due,
            };
            let length = due.len() as u64;
            let counts = ingest::append(&*self.queue, source, due).await?;
            so_far.summary.read += length;
            so_far.summary.stored += counts.stored;
            so_far.summary.duplicates += counts.duplicates;
            so_far.summary.deleted += counts.deleted;
            progress(so_far);
        }
        Ok(())
    }

    /// How the dates move.
    async fn shift(&self) -> Result<replay::Shift> {
        if !self.config.shift_to_now {
            return Ok(replay::Shift::Keep);
        }
        if self.config.pace != Pace::AsFastAsPossible {
            return Ok(replay::Shift::WithPace);
        }
        if self.config.path.as_os_str() == "-" {
            return Err(Error::Setting(
                "standard input can't be shifted to now as fast as possible, because its newest post is known only at \
                 its end: give a speed, or a file"
                    .into(),
            ));
        }
        let (config, clock) = (self.config.clone(), self.clock.clone());
        let newest = tokio::task::spawn_blocking(move || reader::newest(&config, &*clock)).await;
        let newest = newest.map_err(|_| stopped())??;
        Ok(newest.map_or(replay::Shift::Keep, |newest| replay::Shift::By(self.clock.now() - newest)))
    }
}

fn stopped() -> Error {
    Error::Input("the reader of the file stopped unexpectedly".into())
}

/// Reads a file to its end without storing anything.
pub fn check(config: &FileConfig, clock: &dyn Clock) -> Result<Report> {
    let mut report = Report::default();
    report.broken = reader::read(config, clock, &mut |batch| {
        let rejected = batch.parsed.rejections.len() as u64;
        report.summary.rejected += rejected;
        report.summary.read += rejected + batch.parsed.records.len() as u64;
        report.notes.merge(batch.parsed.notes);
        true
    })?;
    Ok(report)
}
