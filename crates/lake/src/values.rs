//! Arrow values as JSON and as the names that SQL has for their types. Times are RFC 3339 in UTC, dates `YYYY-MM-DD`,
//! lists arrays, structs and maps objects; what JSON can't hold (NaN, infinity) is null.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json as value};
use std::sync::Arc;

/// The columns without dictionaries, which other values are not read through.
pub(crate) fn plain(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Dictionary(_, values) => arrow::compute::cast(column, values),
        _ => Ok(Arc::clone(column)),
    });
    columns.collect()
}

/// One value of a plain column.
pub(crate) fn json(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => value!(column.as_boolean().value(row)),
        DataType::Int8 => value!(column.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => value!(column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => value!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => value!(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => value!(column.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => value!(column.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => value!(column.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => value!(column.as_primitive::<UInt64Type>().value(row)),
        // By its shortest text: 0.1, not the 0.10000000149 that the nearest double would print.
        DataType::Float32 => number(&column.as_primitive::<Float32Type>().value(row).to_string()),
        DataType::Float64 => value!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            number(&display(column, row))
        }
        DataType::Utf8 => value!(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => value!(column.as_string::<i64>().value(row)),
        DataType::Utf8View => value!(column.as_string_view().value(row)),
        DataType::Timestamp(unit, _) => time(column, row, *unit),
        DataType::List(_) => list(&column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&column.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter();
            let entries = fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), json(column, row)));
            Value::Object(entries.collect())
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entries = (0..entries.len()).map(|at| (display(keys, at), json(values, at)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        _ => value!(display(column, row)),
    }
}

fn number(text: &str) -> Value {
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
}

fn list(values: &ArrayRef) -> Value {
    (0..values.len()).map(|row| json(values, row)).collect()
}

fn time(column: &ArrayRef, row: usize, unit: TimeUnit) -> Value {
    let at: Option<DateTime<Utc>> = match unit {
        TimeUnit::Second => DateTime::from_timestamp(column.as_primitive::<TimestampSecondType>().value(row), 0),
        TimeUnit::Millisecond => {
            DateTime::from_timestamp_millis(column.as_primitive::<TimestampMillisecondType>().value(row))
        }
        TimeUnit::Microsecond => {
            DateTime::from_timestamp_micros(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        TimeUnit::Nanosecond => {
            Some(DateTime::from_timestamp_nanos(column.as_primitive::<TimestampNanosecondType>().value(row)))
        }
    };
    at.map_or(Value::Null, |at| value!(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

fn display(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(column, &options).map(|formatter| formatter.value(row).to_string()).unwrap_or_default()
}

/// About how many bytes a value takes: its texts, and a little for everything else.
pub(crate) fn bytes(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => text.len(),
        Value::Array(items) => 4 + items.iter().map(bytes).sum::<usize>(),
        Value::Object(fields) => 4 + fields.iter().map(|(name, value)| name.len() + bytes(value)).sum::<usize>(),
    }
}

/// The name of a type in SQL.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "SMALLINT",
        DataType::UInt16 | DataType::Int32 => "INTEGER",
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => "BIGINT",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(..) => "TIMESTAMP",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::Dictionary(_, values) => return sql_name(values),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            return format!("{}[]", sql_name(element.data_type()));
        }
        DataType::Struct(_) => "STRUCT",
        DataType::Map(..) => "MAP",
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "DECIMAL"
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BYTEA",
        _ => "UNKNOWN",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        DictionaryArray, Float32Array, Float64Array, Int64Array, ListBuilder, StringBuilder, TimestampMicrosecondArray,
        TimestampSecondArray,
    };

    fn first(array: impl Array + 'static) -> Value {
        json(&(Arc::new(array) as ArrayRef), 0)
    }

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(first(Float32Array::from(vec![0.1])), value!(0.1));
        assert_eq!(first(Float64Array::from(vec![f64::NAN])), Value::Null);
        assert_eq!(first(Int64Array::from(vec![i64::MAX])), value!(i64::MAX));
        assert_eq!(first(TimestampSecondArray::from(vec![0])), value!("1970-01-01T00:00:00Z"));
        let time = TimestampMicrosecondArray::from(vec![Some(1_500_000), None]).with_timezone("UTC");
        assert_eq!(first(time.clone()), value!("1970-01-01T00:00:01.500Z"));
        assert_eq!(json(&(Arc::new(time) as ArrayRef), 1), Value::Null);
        let words: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
        assert_eq!(json(&plain(&batch).unwrap()[0], 2), value!("a"));
        let mut list = ListBuilder::new(StringBuilder::new());
        list.values().append_value("x");
        list.append(true);
        assert_eq!(first(list.finish()), value!(["x"]));
    }

    #[test]
    fn a_slice_is_read_at_its_own_place() {
        let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0, 60, 120]));
        assert_eq!(json(&times.slice(1, 2), 1), value!("1970-01-01T00:02:00Z"));
    }
}
