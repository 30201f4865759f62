//! Rows of a table out of lines. A quotation mark at the start of a cell may open a cell that goes on over several
//! lines, or be a mark that somebody wrote and never closed, which would swallow the rows after it. The two are told
//! apart by what was swallowed: lines that are rows by themselves are read as rows, with their quotation marks.

use crate::record::RECORD_MAX_BYTES;
use csv::ByteRecord;
use std::collections::VecDeque;
use std::io::{BufRead, Read, Result};

/// Longest row that goes on over several lines.
const ROW_MAX_BYTES: usize = 1 << 20;

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// Of its first line, from 1.
    pub(super) line: u64,
    pub(super) bytes: usize,
    pub(super) cells: ByteRecord,
    /// Its quotation mark was never closed, so it was read as a line without quoting.
    pub(super) unquoted: bool,
    /// Bytes beyond the limit of a record, which are not in `cells`.
    pub(super) dropped: usize,
}

/// A line without its end.
struct Line {
    number: u64,
    text: Vec<u8>,
    dropped: usize,
}

/// Reads rows.
pub(super) struct Rows<'i> {
    input: &'i mut dyn BufRead,
    delimiter: u8,
    /// Lines that were read to look for the end of a cell.
    ahead: VecDeque<Line>,
    lines: u64,
}

impl<'i> Rows<'i> {
    pub(super) fn new(input: &'i mut dyn BufRead, delimiter: u8) -> Self {
        Self { input, delimiter, ahead: VecDeque::new(), lines: 0 }
    }

    /// The next row; `fits` says whether cells look like a row of this table.
    pub(super) fn next(&mut self, fits: impl Fn(&ByteRecord) -> bool) -> Result<Option<Row>> {
        let first = loop {
            match self.line()? {
                None => return Ok(None),
                Some(line) if line.text.is_empty() => {}
                Some(line) => break line,
            }
        };
        let (number, dropped) = (first.number, first.dropped);
        let mut cutter = Cutter::new(self.delimiter, true);
        cutter.feed(&first.text);
        let mut lines = vec![first];
        let mut bytes = lines[0].text.len() + 1;
        let mut closed = !cutter.is_open();
        while !closed && bytes < ROW_MAX_BYTES {
            let Some(line) = self.line()? else { break };
            cutter.feed(b"\n");
            cutter.feed(&line.text);
            bytes += line.text.len() + 1;
            lines.push(line);
            closed = !cutter.is_open();
        }
        let alone = |line: &Line| fits(&cut(&line.text, self.delimiter, false));
        let ran_together = lines.len() > 1 && alone(&lines[0]) && lines[1..].iter().any(alone);
        if closed && !ran_together {
            return Ok(Some(Row { line: number, bytes, cells: cutter.finish(), unquoted: false, dropped }));
        }
        let first = lines.remove(0);
        lines.into_iter().rev().for_each(|line| self.ahead.push_front(line));
        let cells = cut(&first.text, self.delimiter, false);
        Ok(Some(Row { line: number, bytes: first.text.len() + 1, cells, unquoted: true, dropped }))
    }

    fn line(&mut self) -> Result<Option<Line>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let mut text = Vec::new();
        let read = self.input.take(RECORD_MAX_BYTES as u64 + 2).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        let mut dropped = 0;
        if read > RECORD_MAX_BYTES && text.last() != Some(&b'\n') {
            dropped = self.input.skip_until(b'\n')?.max(1);
        }
        for end in [b'\n', b'\r'] {
            if text.last() == Some(&end) {
                text.pop();
            }
        }
        self.lines += 1;
        Ok(Some(Line { number: self.lines, text, dropped }))
    }
}

/// The cells of one line.
pub(super) fn cut(line: &[u8], delimiter: u8, quoting: bool) -> ByteRecord {
    let mut cutter = Cutter::new(delimiter, quoting);
    cutter.feed(line);
    cutter.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    Plain,
    Quoted,
    /// After a quotation mark within quotes: the end of the cell, or the first of two.
    Mark,
}

struct Cutter {
    delimiter: u8,
    quoting: bool,
    cells: ByteRecord,
    cell: Vec<u8>,
    state: State,
}

impl Cutter {
    fn new(delimiter: u8, quoting: bool) -> Self {
        Self { delimiter, quoting, cells: ByteRecord::new(), cell: Vec::new(), state: State::Start }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = match self.state {
                State::Quoted if byte == b'"' => State::Mark,
                State::Mark if byte == b'"' => self.keep(byte, State::Quoted),
                State::Quoted => self.keep(byte, State::Quoted),
                _ if byte == self.delimiter => {
                    self.cells.push_field(&self.cell);
                    self.cell.clear();
                    State::Start
                }
                State::Start if byte == b'"' && self.quoting => State::Quoted,
                _ => self.keep(byte, State::Plain),
            };
        }
    }

    fn keep(&mut self, byte: u8, state: State) -> State {
        self.cell.push(byte);
        state
    }

    /// Whether a quotation mark waits for its end.
    fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    fn finish(mut self) -> ByteRecord {
        self.cells.push_field(&self.cell);
        self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, fits: impl Fn(&ByteRecord) -> bool + Copy) -> Vec<(u64, Vec<String>)> {
        let mut input = text.as_bytes();
        let mut rows = Rows::new(&mut input, b',');
        let mut all = Vec::new();
        while let Some(row) = rows.next(fits).unwrap() {
            all.push((row.line, row.cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()));
        }
        all
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn quoted_cells_go_over_lines_and_a_lone_mark_does_not() {
        let fits = |cells: &ByteRecord| cells.len() == 2 && cells[0].first().is_some_and(u8::is_ascii_digit);
        let text = "1,\"two\nlines, \"\"quoted\"\"\"\r\n\n2,\"never closed\n3,fine\n4,\"yes\" it is\n5,\"\"\n";
        assert_eq!(
            rows(text, fits),
            [
                row(1, &["1", "two\nlines, \"quoted\""]),
                row(4, &["2", "\"never closed"]),
                row(5, &["3", "fine"]),
                row(6, &["4", "yes it is"]),
                row(7, &["5", ""]),
            ]
        );
        assert_eq!(rows("1,\"open\nto the end", |_| false), [row(1, &["1", "\"open"]), row(2, &["to the end"])]);
        assert_eq!(rows("a,b\n\"1\nx\",2", |_| false).len(), 2);
    }
}
