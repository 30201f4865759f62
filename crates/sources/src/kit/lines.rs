//! Chunks of a stream into whole lines. Blank lines are keep-alives and are dropped; an incomplete last line is never
//! emitted.

use crate::record::RECORD_MAX_BYTES;

/// The beginning of a line that has not ended yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

/// A line longer than any record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endless;

impl Lines {
    /// Takes a chunk; gives the lines that it completed.
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, Endless> {
        let mut complete = Vec::new();
        let mut parts = chunk.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.rest.extend_from_slice(part);
            let line = std::mem::take(&mut self.rest);
            if !line.trim_ascii().is_empty() {
                complete.push(line);
            }
        }
        self.rest.extend_from_slice(last);
        if self.rest.len() > RECORD_MAX_BYTES { Err(Endless) } else { Ok(complete) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_are_cut() {
        let stream = b"{\"a\":1}\r\n\r\n\r\n{\"b\":\"\xc3\xa9\"}\r\n{\"cut";
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let mut complete = Vec::new();
            for chunk in stream.chunks(size) {
                complete.extend(lines.feed(chunk).unwrap());
            }
            let trimmed: Vec<&[u8]> = complete.iter().map(|line| line.trim_ascii()).collect();
            assert_eq!(trimmed, [&b"{\"a\":1}"[..], b"{\"b\":\"\xc3\xa9\"}"], "chunks of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 20];
        assert!((0..7).all(|_| lines.feed(&chunk).is_ok()));
        assert!((0..2).any(|_| lines.feed(&chunk).is_err()));
    }
}
