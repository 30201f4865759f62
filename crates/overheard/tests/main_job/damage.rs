//! Damaged files, at the command line: `check` names them, `repair` mends them and keeps what it takes out.

use crate::program::{counts, plain, posts_file, run, succeed, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The data files of a table.
fn data_files(data: &Path, table: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for day in std::fs::read_dir(data.join("lake").join(table)).unwrap() {
        let day = day.unwrap().path();
        if day.file_name().unwrap().to_str().unwrap().starts_with("event_date=") {
            files.extend(std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files.sort();
    files
}

fn halve(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn check(data: &Path) -> (Option<i32>, Value) {
    let output = run(plain(data).args(["check", "--format", "json"]));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

#[test]
fn damage_is_named_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    succeed(plain(&data).arg("import").arg(posts_file(folder.path(), 3_000)));
    assert_eq!(check(&data), (Some(0), Value::Array(Vec::new())));
    assert!(succeed(plain(&data).arg("check")).contains("no damage found"));

    // Half a file of what was understood: everything comes back from the originals.
    halve(&data_files(&data, "sentiment")[0]);
    let doctor = text(&run(plain(&data).arg("doctor")).stdout);
    assert!(doctor.contains("overheard check"), "{doctor}");
    let (code, damages) = check(&data);
    assert_eq!(
        (code, &damages[0]["table"], &damages[0]["mended_by"]),
        (Some(3), &"sentiment".into(), &"overheard repair".into())
    );
    assert!(succeed(plain(&data).args(["repair", "--dry-run"])).contains("nothing was changed"));
    assert_eq!(check(&data).0, Some(3));
    succeed(plain(&data).arg("repair"));
    assert_eq!(check(&data), (Some(0), Value::Array(Vec::new())));
    assert_eq!(counts(&data), (3_000, 3_000, 3_000, 3_000));
    assert!(data.join("quarantine").is_dir());

    // Half of each file of originals (those that were replaced are there still): told, and kept.
    data_files(&data, "raw").iter().for_each(|file| halve(file));
    let output = run(plain(&data).arg("repair"));
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("rows of 2026-02-01"), "{}", text(&output.stdout));

    // The queue's file from another time.
    std::fs::remove_file(data.join("overheard.db")).unwrap();
    drop(std::fs::remove_file(data.join("overheard.db-wal")));
    let (code, damages) = check(&data);
    assert_eq!(code, Some(3));
    assert!(damages.to_string().contains("overheard.db"), "{damages}");
}
