//! Tables of a file: CSV and its kin, sheets of a workbook, rows of Parquet.

use super::batches::{Batches, too_long};
use super::columnar;
use super::rows::Rows;
use super::workbook::Workbook;
use crate::error::{Error, Result};
use crate::formats;
use crate::record::table::{Columns, sniff_delimiter};
use csv::StringRecord;
use std::fs::File;
use std::io::BufRead;

/// The delimiter of a table by its first line, and the bytes of a line that names it (`sep=;`).
pub(super) fn delimiter(start: &[u8]) -> (u8, usize) {
    let end = start.iter().position(|byte| *byte == b'\n').unwrap_or(start.len());
    match start[..end].trim_ascii_end() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => (*delimiter, (end + 1).min(start.len())),
        // A tab is trimmed away.
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] => (b'\t', (end + 1).min(start.len())),
        _ => (sniff_delimiter(start), 0),
    }
}

/// Rows of CSV.
pub(super) fn rows(input: &mut dyn BufRead, batches: &mut Batches<'_>, name: &str) -> Result<()> {
    let failed = |source: std::io::Error| Error::Read { name: name.to_owned(), source };
    let (found, line) = delimiter(input.fill_buf().map_err(failed)?);
    input.consume(line);
    let delimiter = batches.config.delimiter.unwrap_or(found);
    let mut rows = Rows::new(input, delimiter);
    let Some(header) = rows.next(|_| false).map_err(failed)? else {
        return Err(Error::Input(format!("{name} is empty")));
    };
    if header.cells.as_slice().contains(&b'\r') {
        return Err(Error::Input(format!("{name} ends its lines with CR alone, as old Macs did: save it with LF")));
    }
    let header = StringRecord::from_byte_record_lossy(header.cells);
    let columns = Columns::new(&header, &batches.config.columns, delimiter)?;
    while let Some(row) = rows.next(|cells| columns.fit(cells)).map_err(failed)? {
        let go_on = batches.add(row.bytes, ("line", row.line), |origin, parsed| {
            if row.dropped > 0 {
                return parsed.rejections.push(too_long(row.cells.as_slice(), row.dropped));
            }
            if row.unquoted {
                let words = "quotation marks that are never closed: the line was read without quoting";
                parsed.notes.guess(words, &row.line.to_string());
            }
            match StringRecord::from_byte_record(row.cells) {
                Ok(text) => columns.parse(&text, origin, parsed),
                Err(error) => {
                    let reason = format!("invalid UTF-8 in field {}", error.utf8_error().field() + 1);
                    let lossy = StringRecord::from_byte_record_lossy(error.into_byte_record());
                    parsed.rejections.push(columns.reject(&lossy, reason.clone(), Some(reason)));
                }
            }
        });
        if !go_on {
            return Ok(());
        }
    }
    Ok(())
}

/// Rows of a workbook's first sheet.
pub(super) fn sheet(mut workbook: Workbook, batches: &mut Batches<'_>, name: &str) -> Result<()> {
    let Some((_, header)) = workbook.next()? else {
        return Err(Error::Input(format!("the first sheet of {name} is empty")));
    };
    let columns = Columns::new(&header.into(), &batches.config.columns, b',')?;
    while let Some((number, mut row)) = workbook.next()? {
        // Empty cells at the end are left out, or are more than the header names.
        let filled = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        row.resize(columns.len().max(filled), String::new());
        let bytes = row.iter().map(String::len).sum();
        if !batches.add(bytes, ("row", number), |origin, parsed| columns.parse(&row.into(), origin, parsed)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Rows of Parquet.
pub(super) fn parquet(file: File, batches: &mut Batches<'_>, name: &str) -> Result<()> {
    let mut rows = columnar::Rows::open(file, name)?;
    let mut number = 0;
    while let Some(lines) = rows.next()? {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            number += 1;
            let mapping = &batches.config.columns;
            let read = |origin: &_, parsed: &mut _| formats::parse_mapped(line, mapping, origin, parsed);
            if !batches.add(line.len(), ("row", number), read) {
                return Ok(());
            }
        }
    }
    Ok(())
}
