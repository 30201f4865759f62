//! The command line tried wrong: every mistake gets words that help, and an exit code that means something.

use crate::program::{command, plain, run, succeed, text};

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

#[test]
fn a_configuration_of_an_earlier_version_is_named_and_a_full_disk_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("earlier.toml");
    let push = "[[sources.push]]\nname = \"My Reviews!\"\nplatform = \"reviews\"\ntoken_env = \"PATH\"\n";
    std::fs::write(&file, format!("free_space_min_mb = 1000000000\n{push}")).unwrap();
    let data = folder.path().join("data");
    let check = run(plain(&data).args(["config", "check", "--config"]).arg(&file));
    let said = text(&check.stdout);
    assert!(check.status.success(), "{said}{}", text(&check.stderr));
    assert!(said.contains("notice: [sources.x] and [[sources.push]]") && said.contains("\"My Reviews!\""), "{said}");
    let said = text(&run(plain(&data).args(["doctor", "--config"]).arg(&file)).stdout);
    assert!(said.lines().any(|line| line.starts_with("mend") && line.contains("free_space_min_mb")), "{said}");
    let printed = text(&run(plain(&data).args(["config", "print", "--config"]).arg(&file)).stdout);
    assert!(printed.contains("My Reviews!"), "{printed}");
}

#[test]
fn the_doctor_finds_rules_that_name_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("rules.toml"));
    let rule = |name: &str, more: &str| format!("[[alerts.rules]]\nname = \"{name}\"\nchannels = []\n{more}\n");
    let rules = [
        rule("a", "topic = \"strom\"\ncondition = { when = \"threshold\", mentions_min = 1, window_s = 3600 }"),
        rule("b", "condition = { when = \"silence\", source = \"nwes\", silent_s = 3600 }"),
        rule("c", "topic = \"storm\"\ncondition = { when = \"threshold\", mentions_min = 1, window_s = 3600 }"),
    ];
    std::fs::write(&file, rules.concat()).unwrap();
    succeed(plain(&data).args(["topics", "add", "storm", "storm"]));
    let said = text(&run(plain(&data).args(["doctor", "--config"]).arg(&file)).stdout);
    let found: Vec<&str> = said.lines().filter(|line| line.contains(" alert rule ")).collect();
    assert_eq!(found.len(), 2, "{said}");
    assert!(found[0].starts_with("mend") && found[0].contains("\"strom\"") && found[1].contains("\"nwes\""), "{said}");
}
