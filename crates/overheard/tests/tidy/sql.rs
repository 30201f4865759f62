//! SQL is written in `lake` and `queue` only: every other crate asks typed questions.

use std::fs;

/// Crates that write SQL.
const MAY: [&str; 2] = ["lake", "queue"];
const STATEMENTS: [&str; 5] = ["\"SELECT ", "\"WITH ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM "];

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
        let statements = lines.filter(|line| STATEMENTS.iter().any(|word| line.contains(word)));
        found.extend(statements.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(found.is_empty(), "ask a typed question instead (domain::analytics):\n{}", found.join("\n"));
}
