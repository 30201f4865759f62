//! No crate has files that import each other in a cycle. Imports are read from `use` and from paths that begin with
//! `crate::` or `super::`; a re-export leads to the file that defines the name. A module and the modules below it may
//! know each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// A module's path below the crate's root; the root itself is empty.
type Module = Vec<String>;

/// What the files of a crate import.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// A path of a `use`, and the name that it gets.
struct Use {
    path: Vec<String>,
    name: String,
}

/// What one file names: by `use`, and by longer paths in the code.
#[derive(Default)]
struct Names {
    uses: Vec<Use>,
    paths: Vec<Vec<String>>,
}

#[test]
fn no_crate_has_files_that_import_each_other_in_a_cycle() {
    let mut imports = 0;
    let mut cycles = Vec::new();
    for entry in fs::read_dir(super::root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let mut files = BTreeMap::new();
        read_folder(&folder.join("src"), &mut Vec::new(), &mut files);
        let graph = graph(&files);
        imports += graph.values().map(BTreeSet::len).sum::<usize>();
        cycles.extend(shortest_cycle(&graph).map(|cycle| format!("{}: {cycle}", folder.display())));
    }
    assert!(imports > 400, "only {imports} imports were found");
    assert!(cycles.is_empty(), "these files import each other:\n{}", cycles.join("\n"));
}

#[test]
fn a_cycle_is_found_also_through_a_re_export() {
    let cycle = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| {
            (name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect(), names(text))
        });
        shortest_cycle(&graph(&files.collect()))
    };
    let root = ("", "mod a; mod b;");
    assert_eq!(cycle(&[root, ("a", "use crate::b::{self, B as C};"), ("b", "struct B;")]), None);
    assert_eq!(cycle(&[root, ("a", "use crate::b::B;"), ("b", "fn f() { super::a::g() }")]).unwrap(), "a -> b -> a");
    assert_eq!(cycle(&[root, ("a", "use crate::b::B;"), ("b", "// crate::a::A\n")]), None);
    let inner = ("a::inner", "use crate::b::B; pub struct Inner;");
    let through = [root, ("a", "mod inner; pub use inner::Inner;"), inner, ("b", "use crate::a::Inner;")];
    assert_eq!(cycle(&through).unwrap(), "a::inner -> b -> a::inner");
    let parent = [root, ("a", "mod inner; use inner::Inner;"), ("a::inner", "use super::A;")];
    assert_eq!(cycle(&parent), None);
}

fn read_folder(folder: &Path, prefix: &mut Module, files: &mut BTreeMap<Module, Names>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "bin" {
            prefix.push(name);
            read_folder(&path, prefix, files);
            prefix.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let mut module = prefix.clone();
            if !["mod", "lib", "main"].contains(&name.as_str()) {
                module.push(name);
            }
            files.insert(module, names(&fs::read_to_string(path).unwrap()));
        }
    }
}

fn names(text: &str) -> Names {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join(" ");
    let mut names = Names::default();
    for item in code.split(';') {
        let mut rest = item;
        if let Some((before, tree)) = item.rsplit_once("use ")
            && (before.is_empty() || before.ends_with(char::is_whitespace))
        {
            rest = before;
            flatten(tree.trim(), &[], &mut names.uses);
        }
        let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        let paths = words.filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
        names.paths.extend(paths.map(segments));
    }
    names
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The paths of a use tree such as `a::{b, c::d as e}`.
fn flatten(tree: &str, prefix: &[String], uses: &mut Vec<Use>) {
    let Some((head, group)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
        let mut path = [prefix, &segments(path)].concat();
        path.pop_if(|last| last == "self");
        let name = alias.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
        uses.push(Use { path, name });
        return;
    };
    let prefix = [prefix, &segments(head)].concat();
    let (mut depth, mut part) = (0, String::new());
    for character in group.trim_end().trim_end_matches('}').chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        if character == ',' && depth == 0 {
            flatten(&std::mem::take(&mut part), &prefix, uses);
        } else {
            part.push(character);
        }
    }
    if !part.trim().is_empty() {
        flatten(&part, &prefix, uses);
    }
}

fn graph(files: &BTreeMap<Module, Names>) -> Graph {
    let imports = |module: &Module, names: &Names| {
        let paths = names.uses.iter().map(|one| &one.path).chain(&names.paths);
        let targets = paths.filter_map(|path| resolve(module, path, files));
        targets.filter(|target| !target.starts_with(module) && !module.starts_with(target)).collect()
    };
    files.iter().map(|(module, names)| (module.clone(), imports(module, names))).collect()
}

/// The file that defines what a path names, seen from a module; `None`: another crate.
fn resolve(module: &Module, path: &[String], files: &BTreeMap<Module, Names>) -> Option<Module> {
    follow(module, path, files, RE_EXPORTS_MAX)
}

/// Re-exports that are followed from one to the next. A module inside a file that names what is beside it by `super` looks
/// like a re-export of the file by itself.
const RE_EXPORTS_MAX: usize = 8;

fn follow(module: &Module, path: &[String], files: &BTreeMap<Module, Names>, left: usize) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let full: Module = match path.first()?.as_str() {
        "crate" => path[1..].to_vec(),
        "super" => [&module[..module.len().checked_sub(ups)?], &path[ups..]].concat(),
        "self" => [module, &path[1..]].concat(),
        first => {
            let child = [module.as_slice(), &[first.to_owned()]].concat();
            files.contains_key(&child).then(|| [module, path].concat())?
        }
    };
    let target = (0..=full.len()).rev().map(|length| full[..length].to_vec()).find(|part| files.contains_key(part))?;
    let name = full.get(target.len());
    let re_export = files[&target].uses.iter().find(|one| Some(&one.name) == name && one.path != path);
    let re_export = re_export.filter(|_| left > 0);
    re_export.and_then(|one| follow(&target, &one.path, files, left - 1)).or(Some(target))
}

fn shortest_cycle(graph: &Graph) -> Option<String> {
    let cycle = graph.keys().filter_map(|module| way_back(graph, module)).min_by_key(Vec::len)?;
    Some(cycle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> "))
}

/// The shortest way from a module to itself.
fn way_back(graph: &Graph, start: &Module) -> Option<Vec<Module>> {
    let mut seen = BTreeSet::new();
    let mut ways = VecDeque::from([vec![start.clone()]]);
    while let Some(way) = ways.pop_front() {
        for next in &graph[way.last()?] {
            let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}
