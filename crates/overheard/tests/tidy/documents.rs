//! Small documents are read and written through `state`, which alone names their kinds.

use std::fs;

/// Crates that may: the documents' own, that of the port, and those that store them or stand in for a store. A file that
/// implements the store may too.
const MAY: [&str; 4] = ["state", "domain", "queue", "testkit"];
/// What a variable is called that holds a store of documents.
const STORES: [&str; 3] = ["state", "store", "queue"];
const METHODS: [&str; 5] = ["get", "put", "put_new", "list", "delete"];

/// Whether the code reads or writes a document of a kind that it names itself. Changes of a compare and swap are made by
/// `state`, so only making one is looked for.
fn touches_documents(code: &str) -> bool {
    let code: String = code.replace(".as_ref()", "").split_whitespace().collect();
    let calls = STORES.iter().flat_map(|store| METHODS.map(|method| format!("{store}.{method}(")));
    code.contains("Swap::new(") || calls.into_iter().any(|call| code.contains(&call))
}

#[test]
fn documents_are_read_and_written_through_state() {
    let (mut files, mut found) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(super::root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        if !MAY.iter().any(|name| folder.ends_with(name)) {
            super::rust_files(&folder.join("src"), &mut files);
        }
    }
    files.retain(|file| !file.iter().any(|part| part == "tests" || part == "tests.rs"));
    assert!(files.len() > 100, "only {} files found", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let uses_the_store = text.contains("StateStore") && !text.contains("impl StateStore for");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        if uses_the_store && touches_documents(code) {
            found.push(file.display().to_string());
        }
    }
    assert!(found.is_empty(), "use a repository of `state` (or `state::Documents`) instead:\n{}", found.join("\n"));
}

#[test]
fn a_document_is_found_however_the_store_is_reached() {
    for code in
        ["state.get(KIND, key)", "self.store\n    .put(\"a\", b, c)", "state.as_ref().list(kind)", "Swap::new(a)"]
    {
        assert!(touches_documents(code), "{code}");
    }
    for other in ["Topics::new(state).list()", "self.store.swap(changes)", "documents.put(key, &value)"] {
        assert!(!touches_documents(other), "{other}");
    }
}
