//! Rules of the code that a machine can hold: ARCHITECTURE.md names every crate and no other, dependencies between crates
//! go one way and are used (`dependencies`), files of a crate don't import each other in a cycle (`imports`), SQL is
//! written in two crates only (`sql`), every Rust file says what it is for, and no test asserts nothing by a bare
//! `matches!`.

mod dependencies;
mod documents;
mod imports;
mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Workspace crates with the workspace crates that each one uses outside its tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<String> = packages.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
    let uses = |package: &serde_json::Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .filter(|name| names.contains(name))
            .collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), uses(package))).collect()
}

#[test]
fn the_architecture_page_names_every_crate_and_no_other() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()))
        .collect();
    assert_eq!(named, arrows().into_keys().collect());
}

/// The walks of the architecture page: "- `crate/src/file.rs`: `function`, `function`. Words."
#[test]
fn the_walks_name_files_and_functions_that_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut steps = 0;
    for line in page.lines().filter(|line| line.starts_with("- `") && line.contains(".rs`: `")) {
        let (file, rest) = line.trim_start_matches("- `").split_once("`: ").unwrap();
        let code = fs::read_to_string(root().join("crates").join(file)).unwrap_or_else(|_| panic!("no file {file}"));
        let functions = rest.split(". ").next().unwrap();
        for function in functions.split(", ").map(|function| function.trim_matches(['`', '.'])) {
            assert!(code.contains(&format!("fn {function}")), "{file} has no function {function}");
            steps += 1;
        }
    }
    assert!(steps > 30, "only {steps} steps found");
}

#[test]
fn arrows_go_one_way() {
    let arrows = arrows();
    for (name, uses) in &arrows {
        let allowed: &[&str] = match name.as_str() {
            "domain" => &[],
            "alerts" => &["domain", "aws", "state"],
            "brokers" | "engines" => &["domain", "aws"],
            "server" | "sources" | "testkit" => &["domain", "state"],
            "pipeline" => &["domain", "detect", "places", "state"],
            "runtime" => {
                assert!(!uses.contains("server") && !uses.contains("testkit"), "{uses:?}");
                continue;
            }
            "overheard" => continue,
            _ => &["domain"],
        };
        let stray: Vec<&String> = uses.iter().filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(stray.is_empty(), "{name} must not use {stray:?}");
    }
    assert!(!arrows["overheard"].contains("testkit"), "the testkit is never linked into the binary");
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is_for_and_every_test_can_fail() {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    assert!(files.len() > 50, "only {} files found", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", file.display());
        let bare =
            text.lines().any(|line| line.trim_start().starts_with("matches!(") && line.trim_end().ends_with(");"));
        assert!(!bare, "{} holds a bare matches! that asserts nothing", file.display());
    }
}

/// Examples and tests may print and unwrap, so these two lints are not the workspace's.
#[test]
fn every_crate_warns_of_unwrap_and_print() {
    for name in arrows().into_keys() {
        let source = root().join("crates").join(&name).join("src");
        let file = ["lib.rs", "main.rs"].map(|file| source.join(file)).into_iter().find(|file| file.exists()).unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("\n#![warn(clippy::print_stdout, clippy::unwrap_used)]\n"), "{name} does not");
    }
}
