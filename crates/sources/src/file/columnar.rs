//! Rows of a Parquet file as JSON records, batch by batch. Relies on `parquet` and `arrow`, which the lake uses as well.

use crate::error::{Error, Result};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;

const BATCH_ROWS: usize = 1_024;

/// An open file.
pub(super) struct Rows {
    batches: ParquetRecordBatchReader,
    name: String,
}

impl Rows {
    pub(super) fn open(file: File, name: &str) -> Result<Self> {
        let failed = |error| Error::Input(format!("{name} is a damaged Parquet file: {error}"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?.with_batch_size(BATCH_ROWS);
        Ok(Self { batches: reader.build().map_err(failed)?, name: name.to_owned() })
    }

    /// The next rows, one JSON object a line; `None` at the end. Columns without a value are left out.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(batch) = self.batches.next() else { return Ok(None) };
        let name = &self.name;
        let failed = |error| Error::Input(format!("rows of {name} can't be read: {error}"));
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&batch.map_err(failed)?).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(Some(writer.into_inner()))
    }
}
