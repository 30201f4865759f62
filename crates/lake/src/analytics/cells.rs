//! Cells of an answer by their place, as the types that our own statements select: for rows that are read one by one.

use crate::error::Error;
use crate::values;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use domain::{Dimension, Timestamp};

/// Some rows of an answer. A value that is null, or of another type, is `None`.
pub(super) struct Cells {
    columns: Vec<ArrayRef>,
    pub(super) rows: usize,
}

impl Cells {
    pub(super) fn of(batch: &RecordBatch) -> Result<Self, Error> {
        let columns = values::plain(batch).map_err(|source| Error::Rows { table: "of an answer", source })?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    fn at(&self, column: usize, row: usize) -> Option<&ArrayRef> {
        self.columns.get(column).filter(|column| column.is_valid(row))
    }

    pub(super) fn text(&self, column: usize, row: usize) -> Option<&str> {
        text(self.at(column, row)?, row)
    }

    pub(super) fn owned(&self, column: usize, row: usize) -> Option<String> {
        self.text(column, row).map(str::to_owned)
    }

    pub(super) fn int(&self, column: usize, row: usize) -> Option<i64> {
        Some(self.at(column, row)?.as_primitive_opt::<Int64Type>()?.value(row))
    }

    /// A count; 0 where there is none.
    pub(super) fn count(&self, column: usize, row: usize) -> u64 {
        self.int(column, row).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    /// A time of a column of the tables, which count microseconds.
    pub(super) fn time(&self, column: usize, row: usize) -> Option<Timestamp> {
        let micros = self.at(column, row)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
        Timestamp::from_timestamp_micros(micros)
    }

    /// The texts of a list.
    pub(super) fn texts(&self, column: usize, row: usize) -> Vec<String> {
        let list = self.at(column, row).and_then(|column| column.as_list_opt::<i32>());
        let Some(values) = list.map(|list| list.value(row)) else { return Vec::new() };
        let each = (0..values.len()).filter(|at| values.is_valid(*at));
        each.filter_map(|at| text(&values, at).map(str::to_owned)).collect()
    }
}

/// The dimension of a name.
pub(super) fn dimension(name: &str) -> Option<Dimension> {
    name.parse().ok()
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}
