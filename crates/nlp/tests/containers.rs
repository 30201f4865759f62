//! Weights in every form that repositories keep them in: the same model must come out, bit for bit, as of
//! `model.safetensors`. `parity/containers.py` wrote the fixtures; where Python has torch, it writes every form of every
//! case anew (`OVERHEARD_PYTHON` names the Python, else `python3`).

use nlp::encoder::{Encoder, Options, Precision, Reading};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn parity() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

/// A model folder: everything of the case but its weights, and the weights of the form.
fn assemble(case: &str, weights: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let of_case = fs::read_dir(parity().join(case)).unwrap().map(|entry| entry.unwrap().path());
    let kept = of_case.filter(|path| path.extension().is_none_or(|extension| extension != "safetensors"));
    for path in kept {
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    copy(weights, folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, copied).unwrap();
        }
    }
}

fn read(folder: &Path) -> Vec<Reading> {
    let options = Options { precision: Precision::Exact, threads: 1, token_budget: 64 };
    let encoder = Encoder::load(folder, options).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let texts = ["The queue at Heathrow was endless", "Это было прекрасно 😀", ""];
    encoder.read(&texts).into_iter().map(Result::unwrap).collect()
}

/// Compares every form below a folder with its case; gives how many there were.
fn compare(forms: &Path) -> usize {
    let folders = fs::read_dir(forms).unwrap().map(|entry| entry.unwrap().path());
    folders
        .map(|form| {
            let name = form.file_name().unwrap().to_str().unwrap().to_owned();
            let case = name.split('.').next().unwrap();
            assert!(read(assemble(case, &form).path()) == read(&parity().join(case)), "{name} reads otherwise");
        })
        .count()
}

#[test]
fn the_committed_forms_are_the_models_they_were_made_of() {
    assert_eq!(compare(&parity().join("containers")), 6);
}

#[test]
fn every_form_that_torch_writes_here_is_the_model_it_was_made_of() {
    let python = std::env::var("OVERHEARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let asked = Command::new(&python).args(["-c", "import torch, safetensors"]).output();
    if !asked.is_ok_and(|output| output.status.success()) {
        println!(
            "skipped: {python} has no torch; name one that has in OVERHEARD_PYTHON. The committed forms are tested"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = parity().join("containers.py");
    let output = Command::new(&python).arg(script).arg(folder.path()).env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let compared = compare(folder.path());
    println!("{compared} forms compared");
    let written: usize = String::from_utf8(output.stdout).unwrap().lines().last().unwrap().parse().unwrap();
    assert!(compared == written && written >= 10 * 7, "{compared} of {written}");
}

/// What loading says of a folder whose weights were changed.
fn refusal(form: &str, change: impl FnOnce(&Path)) -> String {
    let case = form.split('.').next().unwrap();
    let folder = assemble(case, &parity().join("containers").join(form));
    change(folder.path());
    match Encoder::load(folder.path(), Options::default()) {
        Ok(_) => panic!("{form}: it was loaded"),
        Err(error) => error.to_string(),
    }
}

/// Once a model is loaded its files may be cut, overwritten or deleted: a mapped one would end the program here.
#[test]
fn a_loaded_model_needs_its_files_no_more() {
    for form in ["bert-tokens.zip", "roberta.former", "distilbert.onnx", "xlm-roberta-tokens.shards"] {
        let case = form.split('.').next().unwrap();
        let folder = assemble(case, &parity().join("containers").join(form));
        let encoder = Encoder::load(folder.path(), Options { threads: 1, ..Options::default() }).unwrap();
        let read = || encoder.read(&["The queue at Heathrow was endless"]).pop().unwrap().unwrap();
        let before = read();
        for path in
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
        {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
        }
        if form == "distilbert.onnx" {
            fs::OpenOptions::new().write(true).open(folder.path().join("onnx/model.onnx")).unwrap().set_len(0).unwrap();
        }
        assert!(read() == before, "{form}");
    }
}

#[test]
fn a_folder_that_is_not_whole_says_what_is_missing() {
    let second = "model-00002-of-00003.safetensors";
    let missing = refusal("xlm-roberta-tokens.shards", |folder| fs::remove_file(folder.join(second)).unwrap());
    assert!(missing.contains(second), "{missing}");
    let swapped = refusal("xlm-roberta-tokens.shards", |folder| {
        fs::copy(folder.join("model-00001-of-00003.safetensors"), folder.join(second)).unwrap();
    });
    assert!(swapped.contains("is said to be in model-00002-of-00003.safetensors, and is not"), "{swapped}");
    let outside = refusal("modernbert-tokens.zip-shards", |folder| {
        let index = r#"{"weight_map": {"head.norm.weight": "../pytorch_model.bin"}}"#;
        fs::write(folder.join("pytorch_model.bin.index.json"), index).unwrap();
    });
    assert!(outside.contains("../pytorch_model.bin"), "{outside}");
    let half = refusal("bert-tokens.zip", |folder| {
        let file = fs::OpenOptions::new().write(true).open(folder.join("pytorch_model.bin")).unwrap();
        file.set_len(40_000).unwrap();
    });
    assert!(half.contains("not whole"), "{half}");
    let pointer = refusal("bert-tokens.zip", |folder| {
        fs::write(folder.join("pytorch_model.bin"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
            .unwrap();
    });
    assert!(pointer.contains("git lfs pull"), "{pointer}");
    let empty = refusal("bert-tokens.zip", |folder| fs::remove_file(folder.join("pytorch_model.bin")).unwrap());
    assert!(empty.contains("pytorch_model.bin.index.json"), "{empty}");
}
