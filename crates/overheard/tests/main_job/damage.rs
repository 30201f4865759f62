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

#[test]
fn every_partition_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let run_with = |arguments: &[&str]| run(plain(&data).env("OVERHEARD__QUEUE__PARTITIONS", "3").args(arguments));
    let import = |count| {
        let file = posts_file(folder.path(), count);
        assert!(run_with(&["import", file.to_str().unwrap()]).status.success());
    };
    import(30);
    let older = std::fs::read(data.join("overheard.db")).unwrap();
    import(300);
    assert_eq!(check(&data).0, Some(0));
    std::fs::write(data.join("overheard.db"), older).unwrap();
    drop(std::fs::remove_file(data.join("overheard.db-wal")));
    let (code, damages) = check(&data);
    assert_eq!(code, Some(3));
    let of_others = damages.as_array().unwrap().iter().filter(|damage| {
        let what = damage["damage"].as_str().unwrap();
        what.contains("/1 up to offset") || what.contains("/2 up to offset")
    });
    assert_eq!(of_others.count(), 2, "{damages}");
}
