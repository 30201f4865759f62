//! Lists the files of the built dashboard (`web/dist`) for embedding. Without them the build works all the same, and the
//! server's page says how to make them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let dist = manifest.join("../../web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &dist, &mut files);
    files.sort();
    let mut source = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in &files {
        writeln!(source, "    ({name:?}, include_bytes!({path:?})),").expect("writing to a string");
    }
    source.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("dashboard_files.rs"), source).expect("the build folder can be written");
}

/// Every file below `folder` but hidden ones, with its path relative to `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() {
            collect(root, &path, files);
        } else if let (Ok(name), false) = (path.strip_prefix(root), hidden) {
            files.push((name.to_string_lossy().replace('\\', "/"), fs::canonicalize(&path).unwrap_or(path.clone())));
        }
    }
}
