//! Files of the repository, for tests in any of its crates.

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file of the repository, seen from any crate of it.
pub(crate) fn repository(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|folder| folder.join(path)).find(|found| found.exists()).expect("a file of the repository")
}

/// A fixture's folder without the files that the reader is to get from elsewhere.
pub(crate) fn fixture(case: &str, without: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(repository("crates/nlp/tests/parity").join(case)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_file() && !without.iter().any(|left| *left == name) && name != "expected.json" {
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    folder
}
