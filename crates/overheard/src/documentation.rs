//! Tests of the documentation against the program: commands, options and settings that the pages name exist, what the
//! program has is documented, and `docs/commands.md` is the help of the commands.

use crate::Cli;
use clap::{Command, CommandFactory as _};
use runtime::config::{Config, DEFAULT_TOML};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn program() -> Command {
    let mut program = Cli::command().mut_args(|argument| argument.hide_env_values(true));
    program.build();
    program
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
}

/// Pages for users, by name. ARCHITECTURE.md is about the code.
fn pages() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name));
    let files = docs.filter(|file| file.extension().is_some_and(|extension| extension == "md")).chain(top);
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    let mut pages: Vec<_> = files.map(|file| (name(&file), std::fs::read_to_string(&file).unwrap())).collect();
    pages.sort();
    pages
}

/// Code of a page: the lines of fenced blocks with their language, and inline spans, which have none.
fn code(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut fence = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language.trim()),
            (Some(_), Some(_)) => fence = None,
            (None, Some(language)) => found.push((language, line)),
            (None, None) => found.extend(line.split('`').skip(1).step_by(2).map(|span| ("", span))),
        }
    }
    found
}

/// The blocks of a page in one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let parts = page.split(&start).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Splits a command line as a shell does, up to a pipe, redirection, comment or next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            ('|' | '<' | '>' | '#' | ';' | '&', None) => break,
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What a command line names that the program does not have.
fn unknown(program: &Command, line: &[String]) -> Option<String> {
    let mut command = program;
    let mut words = line.iter().map(String::as_str).peekable();
    while let Some(word) = words.next_if(|word| !word.starts_with('-') && command.has_subcommands()) {
        // `overheard COMMAND --help`, as documentation writes it.
        if word.chars().all(|character| character.is_ascii_uppercase()) {
            return None;
        }
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => return Some(word.to_owned()),
        }
    }
    let mut options = words.filter_map(|word| word.strip_prefix("--")).filter(|option| !option.is_empty());
    let known = |option: &str| {
        let name = option.split('=').next().unwrap_or(option);
        ["help", "version"].contains(&name) || command.get_arguments().any(|arg| arg.get_long() == Some(name))
    };
    options.find(|option| !known(option)).map(|option| format!("--{option}"))
}

#[test]
fn commands_in_the_documentation_exist() {
    let program = program();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, page) in pages() {
        for (language, line) in code(&page) {
            let line = line.trim().trim_start_matches("$ ");
            let piped = line.split_once("| overheard ").map(|(_, after)| after);
            let Some(rest) = line.strip_prefix("overheard ").or(piped).filter(|_| ["", "sh"].contains(&language))
            else {
                continue;
            };
            count += 1;
            wrong.extend(unknown(&program, &words(rest)).map(|what| format!("{name}: `{line}`: {what} is unknown")));
        }
    }
    assert!(count > 50, "only {count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_command_in_the_documentation_is_found() {
    let check = |line: &str| unknown(&program(), &words(line));
    assert_eq!(check("topics add storm 'snow* | ice' --data x | head --x"), None);
    assert_eq!(check("COMMAND --help"), None);
    assert_eq!(check("improt posts.jsonl"), Some("improt".into()));
    assert_eq!(check("topics ad storm"), Some("ad".into()));
    assert_eq!(check("sql 'SELECT 1' --fromat csv"), Some("--fromat".into()));
}

/// Whether a dotted name is a setting: a path in the defaults, or below a list, whose keys `config check` knows.
fn is_setting(defaults: &toml::Table, name: &str) -> bool {
    let mut table = defaults;
    let lists = ["sources", "alerts.channels", "alerts.rules"];
    if lists.iter().any(|list| name == *list || name.starts_with(&format!("{list}."))) {
        return true;
    }
    let mut keys = name.split('.').peekable();
    while let Some(key) = keys.next() {
        match table.get(key) {
            Some(toml::Value::Table(inner)) => table = inner,
            Some(_) => return keys.peek().is_none(),
            None => return false,
        }
    }
    true
}

#[test]
fn settings_in_the_documentation_exist() {
    let defaults: toml::Table = DEFAULT_TOML.parse().unwrap();
    let is_word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, page) in pages() {
        for (_, span) in code(&page).into_iter().filter(|(language, _)| language.is_empty()) {
            let written = span.split([' ', '=', '`']).next().unwrap_or_default();
            let written = written.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
            let environment = written.strip_prefix("OVERHEARD__").map(|key| key.replace("__", ".").to_lowercase());
            let key = environment.unwrap_or_else(|| written.to_owned());
            let is_file = [".md", ".rs", ".py", ".toml", ".db", ".json", ".id", ".ftz", ".key"]
                .iter()
                .any(|end| key.ends_with(end));
            let section = key.split('.').next().unwrap_or_default();
            let is_section = matches!(defaults.get(section), Some(toml::Value::Table(_))) || section == "sources";
            if is_file || !key.contains('.') || !is_section || !key.split('.').all(is_word) {
                continue;
            }
            count += 1;
            if !is_setting(&defaults, &key) {
                wrong.push(format!("{name}: `{span}`: there is no setting {key}"));
            }
        }
    }
    assert!(count > 50, "only {count} settings were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn examples_of_a_configuration_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    let mut count = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "toml") {
            // Rules may name a channel that another example defines.
            std::fs::write(&file, &block).unwrap();
            let read = Config::load(Some(&file), None);
            assert!(read.is_ok(), "{name}: {:#}\n{block}", read.err().unwrap());
            count += 1;
        }
    }
    assert!(count > 5, "only {count} examples were found");
}

#[test]
fn every_section_of_the_configuration_is_documented() {
    let defaults: toml::Table = DEFAULT_TOML.parse().unwrap();
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut sections = vec!["sources".to_owned(), "alerts.channels".into(), "alerts.rules".into()];
    for (name, value) in &defaults {
        let Some(table) = value.as_table() else { continue };
        sections.push(name.clone());
        sections.extend(table.iter().filter(|(_, value)| value.is_table()).map(|(inner, _)| format!("{name}.{inner}")));
    }
    for section in sections {
        assert!(page.contains(&format!("`[{section}]`")) || page.contains(&format!("`[[{section}]]`")), "[{section}]");
    }
}

/// The global options are the same in every command.
fn without_global_options(help: &str) -> String {
    let Some((before, global)) = help.split_once("\nGlobal options:\n") else { return help.to_owned() };
    let examples = global.split_once("\nExamples:").map(|(_, examples)| format!("\nExamples:{examples}"));
    before.to_owned() + &examples.unwrap_or_default()
}

#[test]
fn golden_commands_page() {
    let mut page =
        "# Commands\n\nThe output of `overheard COMMAND --help`. This page is generated: `make golden` updates it.\n"
            .to_owned();
    let mut program = program();
    let shown = program.render_long_help().to_string();
    write!(page, "\n```text\n{}\n```\n", shown.trim_end()).unwrap();
    let help = |command: &mut Command| without_global_options(&command.render_long_help().to_string());
    let names: Vec<String> = visible(&program).map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let command = program.find_subcommand_mut(&name).unwrap();
        write!(page, "\n## overheard {name}\n\n```text\n{}\n```\n", help(command).trim_end()).unwrap();
        let actions: Vec<String> = visible(command).map(|action| action.get_name().to_owned()).collect();
        for action in actions {
            let shown = help(command.find_subcommand_mut(&action).unwrap());
            write!(page, "\n### overheard {name} {action}\n\n```text\n{}\n```\n", shown.trim_end()).unwrap();
        }
    }
    let page: String = page.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    let file = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(page, expected, "docs/commands.md is out of date: run `make golden` and read the diff");
}
