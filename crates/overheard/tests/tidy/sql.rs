//! SQL is written in `lake` and `queue` only: every other crate asks typed questions.

use std::fs;

/// Crates that write SQL.
const MAY: [&str; 2] = ["lake", "queue"];
const STATEMENTS: [&str; 6] = ["SELECT ", "WITH ", "INSERT ", "UPDATE ", "DELETE FROM ", "CREATE TABLE "];
/// In small letters, where no sentence for people begins like this.
const SMALL: [&str; 4] = ["\"select ", "\"insert into ", "\"delete from ", "\"create table "];

/// Whether a line begins a statement: in a string, or in capitals on a line of its own within one.
fn is_sql(line: &str) -> bool {
    // An example of the command line.
    if line.trim_start().starts_with("overheard sql ") {
        return false;
    }
    let capitals = |word: &str| line.trim_start().starts_with(word) || line.contains(&format!("\"{word}"));
    STATEMENTS.iter().any(|word| capitals(word)) || SMALL.iter().any(|word| line.contains(word))
}

#[test]
fn sql_is_written_in_the_lake_and_the_queue_only() {
    let (mut files, mut found) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(super::root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        if !MAY.iter().any(|name| folder.ends_with(name)) {
            super::rust_files(&folder.join("src"), &mut files);
        }
    }
    assert!(files.len() > 100, "only {} files found", files.len());
    files.retain(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let statements = lines.filter(|line| is_sql(line));
        found.extend(statements.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(found.is_empty(), "ask a typed question instead (domain::analytics):\n{}", found.join("\n"));
}

#[test]
fn a_statement_is_found_however_it_is_written() {
    for sql in [
        "query(\"SELECT 1\")",
        "r#\"select 1\"#",
        "    SELECT count(*) \\",
        "\"WITH a AS (SELECT 1)\"",
        "UPDATE a SET b = 1",
    ] {
        assert!(is_sql(sql), "{sql}");
    }
    for other in ["let update = 1;", "\"with seasons\"", "tokio::select! {", "\"Select a topic\""] {
        assert!(!is_sql(other), "{other}");
    }
}
