//! No dependency is kept that nothing uses: every one of the workspace is some crate's, and every crate's own occurs in
//! its source.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

fn manifest(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn names(manifest: &Table, section: &str) -> BTreeSet<String> {
    let section = manifest.get(section).and_then(Value::as_table);
    section.into_iter().flat_map(Table::keys).cloned().collect()
}

/// The source of a crate below these folders, without comments: a link in a comment uses nothing.
fn source(folder: &Path, below: &[&str]) -> String {
    let mut files = Vec::new();
    for below in below {
        let below = folder.join(below);
        if below.exists() {
            super::rust_files(&below, &mut files);
        }
    }
    let texts: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let code = texts.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

/// Whether the source names the crate: `name::`, `use name;`, `name as`.
fn is_used(name: &str, source: &str) -> bool {
    let name = name.replace('-', "_");
    source.match_indices(&name).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let rest = &source[at + name.len()..];
        !source[..at].ends_with(is_part) && ["::", ";", " as "].iter().any(|end| rest.starts_with(end))
    })
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    let workspace = manifest(&super::root().join("Cargo.toml"));
    let mut of_no_crate = names(workspace["workspace"].as_table().unwrap(), "dependencies");
    let crates = fs::read_dir(super::root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    for folder in crates {
        let manifest = manifest(&folder.join("Cargo.toml"));
        let (product, tests) = (source(&folder, &["src"]), source(&folder, &["src", "tests", "examples", "benches"]));
        for (section, source) in [("dependencies", &product), ("dev-dependencies", &tests)] {
            for name in names(&manifest, section) {
                if !is_used(&name, source) {
                    unused.push(format!("{}: {section}: {name}", folder.file_name().unwrap().display()));
                }
                of_no_crate.remove(&name);
            }
        }
    }
    unused.extend(of_no_crate.into_iter().map(|name| format!("workspace: {name}")));
    assert!(unused.is_empty(), "nothing uses these dependencies; delete them from Cargo.toml:\n{}", unused.join("\n"));
}

#[test]
fn a_use_is_told_from_a_part_of_another_name() {
    for used in ["use tokio_stream::wrappers;", "fn f(a: tokio_stream::A) {}", "pub use tokio_stream;"] {
        assert!(is_used("tokio-stream", used), "{used}");
    }
    for other in ["use my_tokio_stream::A;", "use a::tokio_stream::B;", "use tokio_streams::C;", "// tokio_stream"] {
        assert!(!is_used("tokio-stream", other), "{other}");
    }
}
