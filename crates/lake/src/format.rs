//! The lake's format number, in `<lake>/lake.json`, so that an older program leaves a newer lake alone. A lake without
//! the file is of format 1: it was made before the file was.

use crate::error::{Error, Result};
use crate::store::write_durably;
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::Path;

/// The format that this program writes. Raise it when a table gets a column or a file is written in another form: a
/// program of before would lose what it doesn't know.
///
/// Format 2: `raw.payload_format`. A lake of format 1 gets the column when it is opened; its rows have none.
pub(crate) const FORMAT: u64 = 2;
/// The file's name.
pub(crate) const FILE: &str = "lake.json";

/// Refuses a lake of a later format; gives a lake of ours its number.
pub(crate) fn check(root: &Path, writes: bool) -> Result<()> {
    let path = root.join(FILE);
    let found = match std::fs::read_to_string(&path) {
        Ok(text) => {
            let format = serde_json::from_str::<Value>(&text).ok().and_then(|file| file.get("format")?.as_u64());
            Some(format.ok_or_else(|| Error::Damaged { table: FILE, what: "the file holds no format number".into() })?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::disk("read", path)(error)),
    };
    match found {
        Some(found) if found > FORMAT => Err(Error::NewerFormat { path, found, known: FORMAT }),
        Some(FORMAT) => Ok(()),
        _ if writes => {
            if found.is_some() || root.join("raw").exists() {
                let from = found.unwrap_or(1);
                tracing::warn!(from, to = FORMAT, "the lake's format is raised; going back needs a backup from before");
            }
            write(root)
        }
        _ => Ok(()),
    }
}

pub(crate) fn write(root: &Path) -> Result<()> {
    let (path, text) = (root.join(FILE), Bytes::from(json!({"format": FORMAT}).to_string()));
    write_durably(&path, std::iter::once(&text), true).map_err(Error::disk("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TableName;

    #[test]
    fn a_later_format_is_refused_and_told() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), false).unwrap();
        assert!(!folder.path().join(FILE).exists(), "a reader writes nothing");
        check(folder.path(), true).unwrap();
        check(folder.path(), true).unwrap();
        std::fs::write(folder.path().join(FILE), "{\"format\":3}").unwrap();
        let error = check(folder.path(), false).unwrap_err().to_string();
        assert!(error.contains("format 3") && error.contains("newer version"), "{error}");
        std::fs::write(folder.path().join(FILE), "").unwrap();
        assert!(matches!(check(folder.path(), true), Err(Error::Damaged { .. })));
    }

    /// Columns of format 2. Another number here means another `FORMAT` above.
    #[test]
    fn the_format_names_the_columns() {
        let columns = TableName::ALL.map(|table| table.schema().fields().len());
        assert_eq!((FORMAT, columns), (2, [10, 43, 10, 9, 19, 12]), "raise FORMAT with the columns");
    }
}
