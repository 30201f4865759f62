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
    assert!(again.contains("2,000 were here already"), "{again}");
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
