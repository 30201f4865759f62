//! The program under test, and small data for it.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_overheard");

/// A command on a folder, with nothing inherited that could change its settings.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    let inherited = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("OVERHEARD"));
    inherited.for_each(|name| {
        command.env_remove(name);
    });
    command.env("OVERHEARD_DATA_DIR", data).stdin(Stdio::null());
    command
}

/// Without the language model: what is tested is the way of the posts.
pub(crate) fn plain(data: &Path) -> Command {
    let mut command = command(data);
    command.env("OVERHEARD__UNDERSTAND__ENABLED", "false");
    command
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{:?} failed: {}{}", command, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The first row of a SQL answer.
pub(crate) fn sql(data: &Path, query: &str) -> Value {
    first_row(&mut plain(data), query)
}

fn first_row(command: &mut Command, query: &str) -> Value {
    let answer = succeed(command.args(["sql", query, "--format", "jsonl"]));
    serde_json::from_str(answer.lines().next().unwrap_or_else(|| panic!("no row for {query}"))).unwrap()
}

/// Rows, distinct ids in `raw` and in `sentiment`.
pub(crate) fn counts(data: &Path) -> (u64, u64, u64, u64) {
    counts_with(|| plain(data))
}

/// The same for an installation that these commands are about.
pub(crate) fn counts_with(command: impl Fn() -> Command) -> (u64, u64, u64, u64) {
    let count = |table: &str| {
        let query = format!("SELECT count(*) AS n, count(DISTINCT post_id) AS ids FROM {table}");
        let row = first_row(&mut command(), &query);
        (row["n"].as_u64().unwrap(), row["ids"].as_u64().unwrap())
    };
    let ((raw, raw_ids), (rows, ids)) = (count("raw"), count("sentiment"));
    (raw, raw_ids, rows, ids)
}

/// A file of `count` posts, a minute apart, over several days.
pub(crate) fn posts_file(folder: &Path, count: usize) -> PathBuf {
    let mut lines = String::new();
    for index in 0..count {
        let minute = index % 60;
        let (hour, day) = (index / 60 % 24, 1 + index / 1440 % 27);
        let post = json!({
            "id": index.to_string(),
            "text": format!("Post number {index} about the late train to Köln 🚆"),
            "created_at": format!("2026-02-{day:02}T{hour:02}:{minute:02}:00Z"),
            "username": format!("user{}", index % 97),
        });
        writeln!(lines, "{post}").unwrap();
    }
    let file = folder.join("posts.jsonl");
    std::fs::write(&file, lines).unwrap();
    file
}
