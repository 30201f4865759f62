//! The lake's format number, in `<lake>/lake.json`, so that an older program leaves a newer lake alone. A lake without
//! the file is of format 1: it was made before the file was.

use crate::error::{Error, Result};
use crate::location::Location;
use serde_json::{Value, json};

/// The format that this program writes. Raise it when a table gets a column or a file is written in another form: a
/// program of before would lose what it doesn't know.
///
/// Format 2: `raw.payload_format`. A lake of format 1 gets the column when it is opened; its rows have none.
pub(crate) const FORMAT: u64 = 2;
/// The file's name.
pub(crate) const FILE: &str = "lake.json";

/// Refuses a lake of a later format; gives a lake of ours its number.
pub(crate) fn check(root: &Location, writes: bool) -> Result<()> {
    let found = match root.read(FILE)? {
        Some(text) => {
            let format = serde_json::from_slice::<Value>(&text).ok().and_then(|file| file.get("format")?.as_u64());
            Some(format.ok_or_else(|| Error::Damaged { table: FILE, what: "the file holds no format number".into() })?)
        }
        None => None,
    };
    match found {
        Some(found) if found > FORMAT => Err(Error::NewerFormat { path: root.shown(FILE), found, known: FORMAT }),
        Some(FORMAT) => Ok(()),
        _ if writes => {
            if found.is_some() || !root.join("raw").list()?.is_empty() {
                let from = found.unwrap_or(1);
                tracing::warn!(from, to = FORMAT, "the lake's format is raised; going back needs a backup from before");
            }
            write(root)
        }
        _ => Ok(()),
    }
}

pub(crate) fn write(root: &Location) -> Result<()> {
    root.write(FILE, json!({"format": FORMAT}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TableName;

    #[test]
    fn a_later_format_is_refused_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = Location::folder(folder.path());
        check(&place, false).unwrap();
        assert!(!folder.path().join(FILE).exists(), "a reader writes nothing");
        check(&place, true).unwrap();
        check(&place, true).unwrap();
        std::fs::write(folder.path().join(FILE), "{\"format\":3}").unwrap();
        let error = check(&place, false).unwrap_err().to_string();
        assert!(error.contains("format 3") && error.contains("newer version"), "{error}");
        std::fs::write(folder.path().join(FILE), "").unwrap();
        assert!(matches!(check(&place, true), Err(Error::Damaged { .. })));
    }

    /// Columns of format 2. Another number here means another `FORMAT` above.
    #[test]
    fn the_format_names_the_columns() {
        let columns = TableName::ALL.map(|table| table.schema().fields().len());
        assert_eq!((FORMAT, columns), (2, [10, 43, 10, 9, 19, 12]), "raise FORMAT with the columns");
    }
}
