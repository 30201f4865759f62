//! Cells of an answer, by the place of their column, as the types that our own statements select.

use crate::error::Error;
use crate::values;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use domain::{Result, Timestamp};
use serde::Deserialize;
use serde::de::value::StrDeserializer;

/// Some rows of an answer. A value that is null is `None`.
pub(super) struct Cells {
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    pub(super) rows: usize,
}

fn failed(source: ArrowError) -> Error {
    Error::Rows { table: "of an answer", source }
}

/// The column with numbers as 64 bits and times as microseconds. Nothing is copied when it is so already.
fn widened(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wide = match column.data_type() {
        whole if whole.is_integer() => DataType::Int64,
        number if number.is_floating() => DataType::Float64,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    };
    cast(column, &wide)
}

impl Cells {
    pub(super) fn of(batch: &RecordBatch) -> Result<Self> {
        let columns = values::plain(batch).map_err(failed)?;
        let columns = columns.iter().map(widened).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Self { schema: batch.schema(), columns, rows: batch.num_rows() })
    }

    /// The places of columns by their names. One that is missing is an error of this program.
    pub(super) fn places<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N]> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = self.schema.index_of(name).map_err(failed)?;
        }
        Ok(places)
    }

    fn at(&self, column: usize, row: usize) -> Option<&ArrayRef> {
        self.columns.get(column).filter(|column| row < column.len() && column.is_valid(row))
    }

    pub(super) fn text(&self, column: usize, row: usize) -> Option<&str> {
        text(self.at(column, row)?, row)
    }

    pub(super) fn owned(&self, column: usize, row: usize) -> Option<String> {
        self.text(column, row).map(str::to_owned)
    }

    /// A text; empty where there is none.
    pub(super) fn string(&self, column: usize, row: usize) -> String {
        self.owned(column, row).unwrap_or_default()
    }

    /// A word of a fixed set, such as a sentiment or a dimension; none for a word of a later version.
    pub(super) fn word<'a, T: Deserialize<'a>>(&'a self, column: usize, row: usize) -> Option<T> {
        T::deserialize(StrDeserializer::<serde::de::value::Error>::new(self.text(column, row)?)).ok()
    }

    pub(super) fn is_true(&self, column: usize, row: usize) -> bool {
        self.at(column, row).and_then(|column| column.as_boolean_opt()).is_some_and(|column| column.value(row))
    }

    pub(super) fn int(&self, column: usize, row: usize) -> Option<i64> {
        Some(self.at(column, row)?.as_primitive_opt::<Int64Type>()?.value(row))
    }

    /// A number that is not negative.
    pub(super) fn natural(&self, column: usize, row: usize) -> Option<u64> {
        self.int(column, row).and_then(|number| u64::try_from(number).ok())
    }

    /// A count; 0 where there is none.
    pub(super) fn count(&self, column: usize, row: usize) -> u64 {
        self.natural(column, row).unwrap_or(0)
    }

    pub(super) fn float(&self, column: usize, row: usize) -> Option<f64> {
        Some(self.at(column, row)?.as_primitive_opt::<Float64Type>()?.value(row))
    }

    /// A number of a column that is stored with 32 bits.
    pub(super) fn single(&self, column: usize, row: usize) -> Option<f32> {
        self.float(column, row).map(|number| number as f32)
    }

    /// A time, or a number of microseconds since 1970.
    pub(super) fn time(&self, column: usize, row: usize) -> Option<Timestamp> {
        let times = self.at(column, row)?.as_primitive_opt::<TimestampMicrosecondType>();
        let micros = times.map_or_else(|| self.int(column, row), |times| Some(times.value(row)));
        micros.and_then(Timestamp::from_timestamp_micros)
    }

    /// The texts of a list.
    pub(super) fn texts(&self, column: usize, row: usize) -> Vec<String> {
        let list = self.at(column, row).and_then(|column| column.as_list_opt::<i32>());
        let Some(values) = list.map(|list| list.value(row)) else { return Vec::new() };
        let each = (0..values.len()).filter(|at| values.is_valid(*at));
        each.filter_map(|at| text(&values, at).map(str::to_owned)).collect()
    }
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}
