//! Data files: written whole and durable, read with the columns of today whatever day wrote them.
//!
//! ```text
//! <lake>/<table>/event_date=2026-11-23/part-<uuid>.parquet      the rows of one UTC day, without event_date
//! <lake>/<table>/_delta_log/                                    which files are alive
//! ```

use crate::error::{Error, Result};
use crate::location::Location;
use crate::schema::{PARTITION, TableName};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use chrono::{NaiveDate, SecondsFormat};
use deltalake::kernel::{Add, LogicalFileView};
use domain::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Longest key that goes into the statistics whole; a file with longer ones has none for its keys.
const STATS_KEY_MAX_BYTES: usize = 128;
/// Rows decoded at once.
const READ_ROWS: usize = 8_192;

/// What a file is written for: a commit wants little work, a compaction few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Commit,
    Compaction,
}

fn properties(table: TableName, purpose: Purpose) -> WriterProperties {
    let compression = match purpose {
        Purpose::Commit => Compression::SNAPPY,
        Purpose::Compaction => Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()),
    };
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(128 * 1024))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(ColumnPath::from(table.time()), EnabledStatistics::Page);
    // A dictionary of values that hardly repeat costs time and is thrown away in the end.
    for unique in ["post_id", "text", "text_en", "payload", "url", "sentence", "drivers", "examples"] {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(unique), false);
    }
    for long in ["text", "text_en", "payload"] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(long), EnabledStatistics::None);
    }
    builder.build()
}

/// A file being written: rows of one table and one day.
pub(crate) struct NewFile {
    table: TableName,
    name: String,
    path: PathBuf,
    day: NaiveDate,
    writer: ArrowWriter<File>,
    ranges: Ranges,
    part: PartWritten,
}

/// Removes the file again when its writing fails or is given up: a full disk is not filled further by every try.
struct PartWritten {
    root: Location,
    name: String,
    is_kept: bool,
}

impl PartWritten {
    fn keep(mut self, file: &File) -> Result<()> {
        self.root.keep(&self.name, file)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for PartWritten {
    fn drop(&mut self) {
        if !self.is_kept {
            self.root.discard(&self.name);
        }
    }
}

impl NewFile {
    pub(crate) fn create(root: &Location, table: TableName, day: NaiveDate, purpose: Purpose) -> Result<Self> {
        let name = format!("{PARTITION}={day}/part-{}.parquet", uuid::Uuid::new_v4());
        let (path, file) = (root.shown(&name), root.create(&name)?);
        let part = PartWritten { root: root.clone(), name: name.clone(), is_kept: false };
        let schema = Arc::clone(table.file_schema());
        let writer = ArrowWriter::try_new(file, schema, Some(properties(table, purpose)));
        let writer = writer.map_err(Error::parquet("write", &path))?;
        Ok(Self { table, name, path, day, writer, ranges: Ranges::default(), part })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.ranges.extend(self.table, batch);
        self.writer.write(batch).map_err(Error::parquet("write", &self.path))
    }

    /// Makes the file durable; returns the action that makes it part of the table.
    pub(crate) fn finish(self, data_change: bool, now: Timestamp) -> Result<Add> {
        let Self { table, name, path, day, writer, ranges, part } = self;
        let file = writer.into_inner().map_err(Error::parquet("write", &path))?;
        let size = file.metadata().map_err(Error::disk("look at", &path))?.len();
        part.keep(&file)?;
        Ok(Add {
            path: name,
            partition_values: [(PARTITION.to_owned(), Some(day.to_string()))].into(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: now.timestamp_millis(),
            data_change,
            stats: Some(ranges.stats(table)),
            ..Add::default()
        })
    }
}

/// Removes files that no commit made part of the table.
pub(crate) fn discard(root: &Location, adds: &[Add]) {
    adds.iter().for_each(|add| root.discard(&add.path));
}

/// Writes one file of one batch.
pub(crate) fn write_file(
    root: &Location,
    table: TableName,
    day: NaiveDate,
    batch: &RecordBatch,
    now: Timestamp,
) -> Result<Add> {
    let mut file = NewFile::create(root, table, day, Purpose::Commit)?;
    file.write(batch)?;
    file.finish(true, now)
}

/// What the statistics of a file say: how many rows, which keys, which time.
#[derive(Debug, Default)]
struct Ranges {
    rows: usize,
    key: Option<(String, String)>,
    time: Option<(i64, i64)>,
    time_nulls: usize,
}

impl Ranges {
    fn extend(&mut self, table: TableName, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        if let Some(keys) = batch.column_by_name(table.key()).and_then(|column| column.as_string_opt::<i32>()) {
            for key in keys.iter().flatten() {
                match &mut self.key {
                    None => self.key = Some((key.to_owned(), key.to_owned())),
                    Some((min, _)) if key < min.as_str() => key.clone_into(min),
                    Some((_, max)) if key > max.as_str() => key.clone_into(max),
                    Some(_) => {}
                }
            }
        }
        let times = batch.column_by_name(table.time());
        if let Some(times) = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()) {
            self.time_nulls += times.null_count();
            for time in times.iter().flatten() {
                let (min, max) = self.time.get_or_insert((time, time));
                *min = time.min(*min);
                *max = time.max(*max);
            }
        }
    }

    /// In the form of the Delta protocol.
    fn stats(&self, table: TableName) -> String {
        let (mut min, mut max) = (serde_json::Map::new(), serde_json::Map::new());
        if let Some((first, last)) = &self.key
            && first.len() <= STATS_KEY_MAX_BYTES
            && last.len() <= STATS_KEY_MAX_BYTES
        {
            min.insert(table.key().into(), json!(first));
            max.insert(table.key().into(), json!(last));
        }
        if let Some((first, last)) = self.time {
            let text = |micros| {
                let time = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
                json!(time.to_rfc3339_opts(SecondsFormat::Micros, true))
            };
            min.insert(table.time().into(), text(first));
            max.insert(table.time().into(), text(last));
        }
        let mut nulls = serde_json::Map::new();
        nulls.insert(table.key().into(), json!(0));
        nulls.insert(table.time().into(), json!(self.time_nulls));
        json!({ "numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
    }
}

/// Reads a file batch by batch.
pub(crate) struct StoredFile {
    table: TableName,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl StoredFile {
    /// All columns, or only the named one.
    pub(crate) fn open(root: &Location, table: TableName, name: &str, only: Option<&str>) -> Result<Self> {
        let (path, file) = (root.shown(name), root.open(name)?);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(Error::parquet("read", &path))?;
        let builder = match only {
            Some(column) => {
                let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
                builder.with_projection(mask)
            }
            None => builder,
        };
        let reader = builder.with_batch_size(READ_ROWS).build().map_err(Error::parquet("read", &path))?;
        Ok(Self { table, path, reader })
    }

    /// The next rows as they lie in the file.
    pub(crate) fn next_stored(&mut self) -> Result<Option<RecordBatch>> {
        let failed = |source: arrow::error::ArrowError| Error::Parquet {
            doing: "read",
            path: self.path.clone(),
            source: source.into(),
        };
        self.reader.next().transpose().map_err(failed)
    }

    /// The next rows in today's columns.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let stored = self.next_stored()?;
        stored.map(|batch| conform(self.table, &batch)).transpose()
    }
}

/// Puts rows into the columns of today: a column that the file doesn't have is empty. One that this program doesn't
/// know is an error: the rows are to be written anew, and it would be lost.
fn conform(table: TableName, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema: &SchemaRef = table.file_schema();
    if let Some(field) = batch.schema().fields().iter().find(|field| schema.field_with_name(field.name()).is_err()) {
        return Err(Error::UnknownColumn { table: table.as_str(), column: field.name().clone() });
    }
    let failed = |source| Error::Rows { table: table.as_str(), source };
    let columns = schema.fields().iter().map(|field| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => arrow::compute::cast(column, field.data_type()).map_err(failed),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}

/// The day of a file, by the name of its folder.
pub(crate) fn day_of(file: &LogicalFileView) -> String {
    let path = file.path();
    let folder = path.split('/').next().unwrap_or_default();
    folder.strip_prefix(PARTITION).and_then(|rest| rest.strip_prefix('=')).unwrap_or_default().to_owned()
}
