//! JSON records of a file: one a line, or values that are cut by counting braces outside of texts. One broken or huge
//! record never stops the rest.

use super::batches::{Batches, too_long};
use crate::formats;
use crate::record::RECORD_MAX_BYTES;
use std::io::{BufRead, Read as _, Result};

/// What a file of X's archive begins with, before its list.
pub(super) const ARCHIVE_OF_X: &[u8] = b"window.YTD.";
/// The list of posts in what Mastodon exports, which can be longer than a record may be.
const OUTBOX: &[u8] = b"\"orderedItems\"";

/// One record a line; blank lines count for nothing.
pub(super) fn lines(input: &mut dyn BufRead, batches: &mut Batches<'_>) -> Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        let read = input.take(RECORD_MAX_BYTES as u64 + 2).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let cut = read > RECORD_MAX_BYTES && line.last() != Some(&b'\n');
        let dropped = if cut { input.skip_until(b'\n')? } else { 0 };
        let record = line.trim_ascii();
        if record.is_empty() {
            continue;
        }
        let mapping = &batches.config.columns;
        let go_on = batches.add(read, ("line", number), |origin, parsed| {
            if cut {
                parsed.rejections.push(too_long(record, dropped));
            } else {
                formats::parse_mapped(record, mapping, origin, parsed);
            }
        });
        if !go_on {
            return Ok(());
        }
    }
}

/// Values of a JSON array, or values one after the other.
pub(super) fn values(input: &mut dyn BufRead, batches: &mut Batches<'_>) -> Result<()> {
    let mut cutter = Cutter { is_part: skip_to_list(input)?, ..Cutter::default() };
    let mut number = 0;
    loop {
        let chunk = input.fill_buf()?;
        let length = chunk.len();
        let mut rest = chunk;
        while !rest.is_empty() {
            let (taken, is_value) = cutter.feed(rest);
            rest = &rest[taken..];
            number += u64::from(is_value);
            if is_value && !add(&mut cutter, number, batches) {
                return Ok(());
            }
        }
        if length == 0 || cutter.ended {
            if !cutter.value.trim_ascii().is_empty() {
                add(&mut cutter, number + 1, batches);
            }
            return Ok(());
        }
        input.consume(length);
    }
}

/// Adds the value that was cut; says whether to go on.
fn add(cutter: &mut Cutter, number: u64, batches: &mut Batches<'_>) -> bool {
    let value = std::mem::take(&mut cutter.value);
    let dropped = std::mem::take(&mut cutter.dropped);
    let mapping = &batches.config.columns;
    batches.add(value.len(), ("record", number), |origin, parsed| {
        if dropped > 0 {
            parsed.rejections.push(too_long(&value, dropped));
        } else {
            formats::parse_mapped(value.trim_ascii(), mapping, origin, parsed);
        }
    })
}

/// Skips what stands before the list of an export; says whether more may stand after it.
fn skip_to_list(input: &mut dyn BufRead) -> Result<bool> {
    let start = input.fill_buf()?;
    if start.starts_with(ARCHIVE_OF_X) {
        input.skip_until(b'=')?;
        return Ok(false);
    }
    let is_object = start.trim_ascii_start().starts_with(b"{");
    let key = start.windows(OUTBOX.len()).position(|window| window == OUTBOX).filter(|_| is_object);
    if let Some(at) = key {
        input.consume(at);
        input.skip_until(b'[')?;
    }
    Ok(key.is_some())
}

/// The first value at the start of a file, if it ends there.
pub(super) fn first(mut start: &[u8]) -> Option<Vec<u8>> {
    let mut cutter = Cutter { is_part: skip_to_list(&mut start).ok()?, ..Cutter::default() };
    let (_, is_value) = cutter.feed(start);
    is_value.then_some(cutter.value)
}

/// Finds where a JSON value ends.
#[derive(Default)]
struct Cutter {
    value: Vec<u8>,
    /// Bytes beyond the limit of a record.
    dropped: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// The list is a part of an object: nothing after its end counts.
    is_part: bool,
    ended: bool,
}

impl Cutter {
    /// Takes bytes up to the end of a value; says how many, and whether one ended.
    fn feed(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            if self.ended {
                return (bytes.len(), false);
            }
            if self.take(*byte) {
                return (at + 1, true);
            }
        }
        (bytes.len(), false)
    }

    /// Takes a byte; says whether it ended a value.
    fn take(&mut self, byte: u8) -> bool {
        // Between values, and in the outer array. A value that is no object ends there; the parser says what is wrong.
        if self.depth == 0 && !self.in_text && matches!(byte, b'[' | b']' | b',' | b';' | b' ' | b'\t' | b'\r' | b'\n')
        {
            self.ended = self.is_part && byte == b']';
            return !self.value.is_empty();
        }
        self.keep(byte);
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn keep(&mut self, byte: u8) {
        if self.value.len() < RECORD_MAX_BYTES {
            self.value.push(byte);
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut rest = text.as_bytes();
        let mut cutter = Cutter { is_part: skip_to_list(&mut rest).unwrap(), ..Cutter::default() };
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (taken, is_value) = cutter.feed(rest);
            rest = &rest[taken..];
            if is_value {
                values.push(String::from_utf8(std::mem::take(&mut cutter.value)).unwrap());
            }
        }
        values
    }

    #[test]
    fn values_are_cut_out_of_what_stands_around() {
        assert_eq!(all(r#"[{"a":"}]"},{"b":[1,{}]}]"#), [r#"{"a":"}]"}"#, r#"{"b":[1,{}]}"#]);
        assert_eq!(all("window.YTD.tweets.part0 = [ {\"a\":1} ]"), [r#"{"a":1}"#]);
        assert_eq!(all(r#"{"id":"x","orderedItems":[{"a":1},{"b":2}],"totalItems":2}"#), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(all("{\"a\":1}\n{\"b\":2}"), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(first(br#"[{"a":1},{"b""#), Some(br#"{"a":1}"#.to_vec()));
        assert_eq!(first(br#"{"a":"#), None);
    }
}
