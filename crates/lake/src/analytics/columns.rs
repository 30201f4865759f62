//! Columns of an answer by name, as the types that our own statements select. A column that is missing is an error of this
//! program, never an empty value.

use crate::error::Error;
use arrow::array::{
    Array, ArrayAccessor, AsArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use chrono::DateTime;
use domain::{Result, Timestamp};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use std::sync::Arc;

/// The columns of some rows.
pub(super) struct Columns<'a>(pub(super) &'a RecordBatch);

impl Columns<'_> {
    fn typed(&self, name: &str, data_type: &DataType) -> Result<arrow::array::ArrayRef> {
        let failed = |source| domain::Error::from(Error::Rows { table: "of an answer", source });
        let column = self.0.column_by_name(name);
        let column = column.ok_or_else(|| failed(ArrowError::SchemaError(format!("there is no column {name}"))))?;
        // Nothing is copied when the type is the same already.
        cast(column, data_type).map_err(failed)
    }

    pub(super) fn texts(&self, name: &str) -> Result<StringArray> {
        Ok(self.typed(name, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    pub(super) fn longs(&self, name: &str) -> Result<Int64Array> {
        Ok(self.typed(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    pub(super) fn floats(&self, name: &str) -> Result<Float32Array> {
        Ok(self.typed(name, &DataType::Float32)?.as_primitive::<Float32Type>().clone())
    }

    pub(super) fn doubles(&self, name: &str) -> Result<Float64Array> {
        Ok(self.typed(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// Whole microseconds since 1970, whether the column is a time or a number.
    pub(super) fn micros(&self, name: &str) -> Result<Int64Array> {
        let column = match self.0.column_by_name(name).map(Array::data_type) {
            Some(DataType::Timestamp(..)) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                cast(&self.typed(name, &micros)?, &DataType::Int64)
                    .map_err(|source| Error::Rows { table: "of an answer", source })?
            }
            _ => self.typed(name, &DataType::Int64)?,
        };
        Ok(column.as_primitive::<Int64Type>().clone())
    }

    pub(super) fn lists(&self, name: &str) -> Result<ListArray> {
        let list = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
        Ok(self.typed(name, &list)?.as_list::<i32>().clone())
    }

    /// Calls `set` with the row and the text, where there is one.
    pub(super) fn each_text(&self, name: &str, mut set: impl FnMut(usize, &str)) -> Result<()> {
        let column = self.texts(name)?;
        for (row, text) in column.iter().enumerate() {
            if let Some(text) = text {
                set(row, text);
            }
        }
        Ok(())
    }

    /// Calls `set` with the row and the texts of its list.
    pub(super) fn each_list(&self, name: &str, mut set: impl FnMut(usize, Vec<String>)) -> Result<()> {
        let column = self.lists(name)?;
        for row in 0..column.len() {
            set(row, list(&column, row));
        }
        Ok(())
    }
}

/// The value of a row; none where it is null.
pub(super) fn at<A: ArrayAccessor>(column: A, row: usize) -> Option<A::Item> {
    column.is_valid(row).then(|| column.value(row))
}

/// A text of a row; empty where it is null.
pub(super) fn text(column: &StringArray, row: usize) -> String {
    at(column, row).unwrap_or_default().to_owned()
}

/// A count of a row; 0 where it is null.
pub(super) fn count(column: &Int64Array, row: usize) -> u64 {
    at(column, row).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// A moment of a column of [`Columns::micros`].
pub(super) fn time(column: &Int64Array, row: usize) -> Option<Timestamp> {
    at(column, row).and_then(DateTime::from_timestamp_micros)
}

/// The texts of a row's list; none where it is null.
pub(super) fn list(column: &ListArray, row: usize) -> Vec<String> {
    let items = at(column, row);
    let texts = items.iter().flat_map(|items| items.as_string::<i32>().iter().flatten().map(str::to_owned));
    texts.collect()
}

/// A word of a fixed set, such as a sentiment; none for a word of a later version.
pub(super) fn word<'a, T: Deserialize<'a>>(word: &'a str) -> Option<T> {
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(word)).ok()
}
