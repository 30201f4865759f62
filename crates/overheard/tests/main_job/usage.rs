//! The command line tried wrong: every mistake gets words that help, and an exit code that means something.

use crate::program::{command, plain, run, text};

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (args, code, words) in [
        (vec!["improt"], 2, "import"),
        (vec!["import", "nowhere.jsonl"], 1, "nowhere.jsonl"),
        (vec!["topics", "add", "x", "(storm AND"], 1, "^"),
        (vec!["topics", "remove", "x"], 1, "topics list"),
        (vec!["sql", "SELECT 1"], 1, "overheard demo"),
        (vec!["up", "--config", "nowhere.toml"], 1, "config print --default"),
        (vec!["reprocess", "--since", "yesterday"], 1, "2026-03-01"),
        (vec!["dead-letters", "show", "7"], 1, "dead-letters list"),
    ] {
        let output = run(plain(&data).args(&args));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn every_command_teaches_itself() {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(command(folder.path()).arg("--help")).stdout);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for name in commands.iter().filter(|name| **name != "help") {
        let output = run(command(folder.path()).args([name, "--help"]));
        assert!(output.status.success() && output.stdout.len() > 200, "{name}");
    }
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(plain(&folder.path().join("data")).arg("doctor").env("OVERHEARD__SOURCES__X__ENABLED", "true"));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.lines().any(|line| line.starts_with("mend") && line.contains("X_BEARER_TOKEN")), "{said}");
}
