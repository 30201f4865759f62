//! A file comes in whole, and only once.

use crate::program::{counts, plain, posts_file, run, sql, succeed, text};

#[test]
fn a_file_imported_twice_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), 2_000);
    succeed(plain(&data).arg("import").arg(&file));
    assert_eq!(counts(&data), (2_000, 2_000, 2_000, 2_000));
    let refused = run(plain(&data).args(["sql", "DROP TABLE raw"]));
    assert!(!refused.status.success() && text(&refused.stderr).contains("SELECT"), "{}", text(&refused.stderr));
    let again = succeed(plain(&data).arg("import").arg(&file));
    assert!(again.contains("2,000 duplicates"), "{again}");
    assert_eq!(counts(&data), (2_000, 2_000, 2_000, 2_000));
}

#[test]
fn standard_input_and_topics_work_together() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = posts_file(folder.path(), 50);
    succeed(plain(&data).args(["topics", "add", "trains", "\"late train\" AND NOT 7"]));
    succeed(plain(&data).args(["import", "-"]).stdin(std::fs::File::open(&file).unwrap()));
    let row = sql(&data, "SELECT count(*) AS n FROM posts WHERE array_has(topics, 'trains')");
    assert_eq!(row["n"], 49, "all but number 7");
    let row = sql(&data, "SELECT CAST(event_date AS VARCHAR) AS day, text FROM sentiment WHERE post_id LIKE '%:3'");
    assert_eq!(row["day"], "2026-02-01");
    assert_eq!(row["text"], "Post number 3 about the late train to Köln 🚆");
}

#[test]
fn an_import_tells_what_it_refused_assumed_and_did_not_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("rows.csv");
    let table = "id,created_at,text,mood\na,2026-03-17 10:00,Fine shop,glad\nb,17/03/2026 10:05,Other way,\n";
    std::fs::write(&file, table).unwrap();
    let packed = folder.path().join("more.jsonl.xz");
    std::fs::write(&packed, b"\xfd7zXZ").unwrap();
    let strict = run(plain(&data).args(["import", "--strict"]).arg(&file));
    assert_eq!(strict.status.code(), Some(3));
    assert!(text(&strict.stdout).contains("nothing was imported"), "{}", text(&strict.stdout));
    let told = run(plain(&data).arg("import").arg(&packed).arg(&file));
    assert_eq!(told.status.code(), Some(1), "a file could not be read");
    assert!(text(&told.stderr).contains("compressed with xz"), "{}", text(&told.stderr));
    let out = text(&told.stdout);
    for part in ["CSV, 4 columns, separator ','", "2 read: 1 new", "line 3: created_at", "UTC was taken", "mood (1)"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    // The row is refused again for the same reason, and its letter stays.
    let replayed = run(plain(&data).args(["dead-letters", "replay"]));
    assert_eq!(replayed.status.code(), Some(3));
    let letters = succeed(plain(&data).args(["dead-letters", "list", "--format", "jsonl"]));
    assert!(letters.contains("is not a date"), "{letters}");
}
