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
        (vec!["sql", "SELECT 1"], 1, "overheard demo"),
        (vec!["up", "--config", "nowhere.toml"], 1, "config print --default"),
        (vec!["reprocess", "--since", "yesterday"], 1, "2026-03-01"),
    ] {
        let output = run(plain(&data).args(&args));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn what_does_not_exist_is_named_with_the_list_of_what_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    succeed(plain(&data).args(["topics", "add", "storm", "storm"]));
    for (args, words) in [
        (["topics", "remove", "x"], "topics list"),
        (["dead-letters", "show", "7"], "dead-letters list"),
        (["users", "remove", "x"], "users list"),
        (["alerts", "test", "x"], "alerts list"),
    ] {
        let output = run(plain(&data).args(args));
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stderr).contains(words), "{args:?}: {}", text(&output.stderr));
    }
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let help = text(&run(command(folder.path()).arg("--help")).stdout);
    let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|l| !l.is_empty());
    let names: Vec<String> = lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() >= 15, "{names:?}");
    names
}

/// Commands tried before there is an installation, and what their output names as the next step. `up` and `demo` create one.
const BEFORE_ANYTHING: [(&[&str], &str); 37] = [
    (&["help"], "overheard up"),
    (&["import", "nowhere.jsonl"], "file not found"),
    (&["analyze", "nowhere.txt"], "nowhere.txt"),
    (&["sql", "SELECT 1"], "overheard demo"),
    (&["topics", "add", "x", "(storm AND"], "^"),
    (&["topics", "list"], "overheard up"),
    (&["topics", "remove", "x"], "overheard up"),
    (&["topics", "test", "storm"], "overheard demo"),
    (&["topics", "test", "storm", "a storm"], "1 of 1 posts"),
    (&["dead-letters", "list"], "overheard up"),
    (&["dead-letters", "show", "7"], "overheard up"),
    (&["dead-letters", "replay"], "overheard up"),
    (&["forget", "--author", "x", "--dry-run"], "overheard up"),
    (&["forget", "--blocked"], "overheard up"),
    (&["reprocess", "--since", "2026-03-01"], "overheard up"),
    (&["backup", "copy"], "no installation"),
    (&["restore", "copy"], "no backup"),
    (&["reconcile"], "overheard up"),
    (&["geocode", "Berlin"], "Berlin"),
    (&["backtest", "--since", "2026-03-01"], "overheard demo"),
    (&["alerts", "list"], "overheard up"),
    (&["alerts", "test", "x"], "overheard up"),
    (&["categories", "train", "nowhere.toml"], "nowhere.toml"),
    (&["users", "list"], "overheard up"),
    (&["users", "add", "not a name"], "1 to 64"),
    (&["users", "remove", "x"], "overheard up"),
    (&["audit"], "overheard up"),
    (&["models", "list"], "model"),
    (&["models", "add", "a/b", "--endpoint", "http://127.0.0.1:1"], "127.0.0.1:1"),
    (&["models", "remove", "a/b"], "a/b"),
    (&["doctor"], "`overheard up` creates it"),
    (&["compare", "nowhere.jsonl"], "nowhere.jsonl"),
    (&["cost"], "1000000"),
    (&["lambda"], "AWS_LAMBDA_RUNTIME_API"),
    (&["check"], "--data"),
    (&["repair"], "--data"),
    (&["config", "check"], "valid"),
];

#[test]
fn a_command_before_anything_leaves_nothing_behind_and_names_the_next_step() {
    for name in commands().iter().filter(|name| !["up", "demo"].contains(&name.as_str())) {
        assert!(BEFORE_ANYTHING.iter().any(|(args, _)| args[0] == name), "{name} is not tried here");
    }
    for (args, words) in BEFORE_ANYTHING {
        let folder = tempfile::tempdir().unwrap();
        let output = run(plain(folder.path()).env_remove("OVERHEARD_DATA_DIR").current_dir(folder.path()).args(args));
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(said.contains(words), "{args:?}: {said}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{args:?} leaves {left:?}");
    }
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(plain(&folder.path().join("data")).arg("doctor").env("OVERHEARD__SOURCES__X__ENABLED", "true"));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.lines().any(|line| line.starts_with("fail") && line.contains("X_BEARER_TOKEN")), "{said}");
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
    assert!(said.lines().any(|line| line.starts_with("fail") && line.contains("free_space_min_mb")), "{said}");
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
    assert!(found[0].starts_with("fail") && found[0].contains("\"strom\"") && found[1].contains("\"nwes\""), "{said}");
}
