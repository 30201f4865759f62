//! Rows to people and programs: `--format table|json|jsonl|csv`.

use anyhow::Result;
use clap::ValueEnum;
use domain::{Column, Rows};
use serde_json::{Map, Value};
use std::io::{self, BufWriter, Write};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns.
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
}

/// Prints rows to standard output. A reader that goes away early (`| head`) is no error.
pub(crate) fn print(rows: &Rows, format: Format) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(rows, format, &mut out).and_then(|()| out.flush().map_err(Into::into));
    match written {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

/// One line of text.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<()> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Rows from names and values, for small lists.
pub(crate) fn rows(columns: &[&str], rows: Vec<Vec<Value>>) -> Rows {
    let columns = columns.iter().map(|name| Column { name: (*name).into(), data_type: "Utf8".into() }).collect();
    Rows { columns, rows, truncated: false }
}

/// Whether writing failed because the reader went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
}

fn write(rows: &Rows, format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Table => write_table(rows, out),
        Format::Json => {
            let objects: Vec<Value> = rows.rows.iter().map(|row| object(rows, row)).collect();
            serde_json::to_writer_pretty(&mut *out, &objects)?;
            Ok(writeln!(out)?)
        }
        Format::Jsonl => {
            for row in &rows.rows {
                writeln!(out, "{}", object(rows, row))?;
            }
            Ok(())
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(rows.columns.iter().map(|column| &column.name))?;
            for row in &rows.rows {
                csv.write_record(row.iter().map(text))?;
            }
            Ok(csv.flush()?)
        }
    }
}

fn object(rows: &Rows, row: &[Value]) -> Value {
    let fields = rows.columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.clone()));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// A value in one cell.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Widest cell of a table, characters: the rest is cut with an ellipsis, other formats keep everything.
const CELL_MAX: usize = 80;

fn write_table(rows: &Rows, out: &mut impl Write) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_header(rows.columns.iter().map(|column| &column.name));
    for row in &rows.rows {
        table.add_row(row.iter().map(|value| shorten(&text(value))));
    }
    writeln!(out, "{table}")?;
    let count = rows.rows.len();
    let more = if rows.truncated { " (truncated; raise --limit)" } else { "" };
    Ok(writeln!(out, "{count} {}{more}", if count == 1 { "row" } else { "rows" })?)
}

fn shorten(cell: &str) -> String {
    let line = cell.replace(['\n', '\r', '\t'], " ");
    if line.chars().count() <= CELL_MAX {
        return line;
    }
    line.chars().take(CELL_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Rows {
        rows(&["name", "n"], vec![vec![json!("a,\"b\""), json!(1)], vec![Value::Null, json!([1, 2])]])
    }

    fn check(format: Format, expected: &str) {
        let mut out = Vec::new();
        write(&sample(), format, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn csv_quotes_and_leaves_nulls_empty() {
        check(Format::Csv, "name,n\n\"a,\"\"b\"\"\",1\n,\"[1,2]\"\n");
    }

    #[test]
    fn jsonl_has_an_object_a_line() {
        check(Format::Jsonl, "{\"n\":1,\"name\":\"a,\\\"b\\\"\"}\n{\"n\":[1,2],\"name\":null}\n");
    }

    #[test]
    fn a_table_counts_its_rows() {
        let mut out = Vec::new();
        write(&sample(), Format::Table, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().ends_with("2 rows\n"));
    }
}
