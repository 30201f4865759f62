//! Files that are read whole, each with a bound on its size: a model folder comes from outside, and what is read of it
//! must not take more memory than a model needs.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file; one with more than `bytes_max`, or that is no regular file, is refused.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::malformed(path, "not a regular file"));
    }
    let too_large = || Error::malformed(path, format!("larger than {} MB, the most that is read", bytes_max >> 20));
    let length = usize::try_from(found.len()).ok().filter(|length| *length <= bytes_max).ok_or_else(too_large)?;
    let mut bytes = Vec::with_capacity(length);
    // A file may grow while it is read.
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > bytes_max { Err(too_large()) } else { Ok(bytes) }
}

/// The same for a file that must be text.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String> {
    String::from_utf8(read(path, bytes_max)?).map_err(|_| Error::malformed(path, "not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_its_bound_is_refused_and_a_folder_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap().len(), 1 << 20);
        assert!(read(&path, (1 << 20) - 1).unwrap_err().to_string().contains("larger than 0 MB"));
        assert!(read(folder.path(), 10).unwrap_err().to_string().contains("not a regular file"));
        assert!(read_text(&path, 1 << 20).is_ok());
    }
}
