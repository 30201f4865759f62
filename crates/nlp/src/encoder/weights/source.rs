//! Where the bytes of weights come from. Files are read at the places that are asked for and never mapped: a mapped file
//! that somebody cuts or overwrites ends the program (SIGBUS). Once a model is loaded its files are closed, and what
//! happens to them does not matter any more.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// Bytes that a file is read whole up to: protocol buffers, thus ONNX graphs, can't be larger.
const WHOLE_MAX: usize = 2 << 30;

/// The bytes of a container.
pub(super) struct Source {
    path: PathBuf,
    length: usize,
    bytes: Bytes,
}

enum Bytes {
    /// An open file, and when it was last written to.
    File(Mutex<File>, Option<SystemTime>),
    Memory(Vec<u8>),
}

impl Source {
    /// Opens a file to be read in parts.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(Error::malformed(path, "not a regular file"));
        }
        let length = usize::try_from(found.len()).map_err(|_| Error::malformed(path, "larger than memory"))?;
        Ok(Self { path: path.to_owned(), length, bytes: Bytes::File(Mutex::new(file), found.modified().ok()) })
    }

    /// Reads a file whole.
    pub(super) fn whole(path: &Path) -> Result<Self> {
        Ok(Self::of(path, crate::file::read(path, WHOLE_MAX)?))
    }

    /// Bytes that are in memory.
    pub(super) fn of(path: &Path, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), length: bytes.len(), bytes: Bytes::Memory(bytes) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// All bytes, where they are in memory.
    pub(super) fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::File(..) => None,
        }
    }

    /// Fills a buffer with the bytes from `begin` on.
    pub(super) fn fill(&self, begin: usize, into: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let found = bytes.get(begin..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Bytes::File(file, _) => {
                let mut file = file.lock().unwrap_or_else(|e| e.into_inner());
                file.seek(SeekFrom::Start(begin as u64))?;
                file.read_exact(into)
            }
        }
    }

    /// A copy of some bytes; none where the range goes beyond the end or can't be read.
    pub(super) fn part(&self, range: Range<usize>) -> Option<Vec<u8>> {
        if range.end > self.length {
            return None;
        }
        let mut part = vec![0; range.end.checked_sub(range.start)?];
        self.fill(range.start, &mut part).ok().map(|()| part)
    }

    /// An error when the file was written to since it was opened: parts of two versions do not fit each other.
    pub(super) fn expect_unchanged(&self) -> Result<()> {
        let Bytes::File(file, modified) = &self.bytes else { return Ok(()) };
        let found = file.lock().unwrap_or_else(|e| e.into_inner()).metadata();
        let found = found.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        if (found.len(), found.modified().ok()) == (self.length as u64, *modified) {
            return Ok(());
        }
        Err(Error::malformed(&self.path, "it was changed while it was read: try again when it is whole"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_what_is_not_there_is_no_part() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"0123456789").unwrap();
        for source in [Source::open(file.path()).unwrap(), Source::whole(file.path()).unwrap()] {
            assert_eq!(source.part(3..5).as_deref(), Some(&b"34"[..]));
            assert_eq!(source.part(10..10).as_deref(), Some(&b""[..]));
            assert_eq!(source.part(9..11), None);
            assert_eq!(source.part(usize::MAX - 1..usize::MAX), None);
            assert!(source.expect_unchanged().is_ok());
        }
    }

    #[test]
    fn a_file_cut_or_overwritten_while_it_is_read_is_an_error_and_ends_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![1; 100_000]).unwrap();
        let source = Source::open(file.path()).unwrap();
        file.as_file().set_len(10).unwrap();
        assert_eq!(source.part(50_000..50_010), None);
        assert!(source.expect_unchanged().unwrap_err().to_string().contains("changed while it was read"));
    }
}
