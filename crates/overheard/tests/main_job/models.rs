//! Classifiers of others: brought in, listed, put in place, looked at by the doctor, deleted. The engine's own small
//! random models stand for them.

use crate::program::{command, run, succeed, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nlp/tests/parity").join(case)
}

/// As `models add` leaves one.
fn bring(data: &Path, name: &str, case: &str) -> PathBuf {
    let folder = data.join("models").join(name.replace('/', "--"));
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(fixture(case)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    folder
}

#[test]
fn a_local_folder_is_tried_and_the_setting_for_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let add = |case: &str| succeed(command(folder.path()).args(["models", "add"]).arg(fixture(case)));
    let texts = add("bert");
    assert!(
        texts.contains("understand.sentiment_model = ") && texts.contains("understand.category_model = "),
        "{texts}"
    );
    let words = add("bert-tokens");
    assert!(words.contains("understand.entity_model = ") && !words.contains("sentiment_model"), "{words}");
    let relative = succeed(command(folder.path()).current_dir(fixture("")).args(["models", "add", "bert"]));
    assert!(relative.contains(&format!("{:?}", fixture("bert").canonicalize().unwrap())), "{relative}");
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::copy(fixture("bert").join("config.json"), broken.join("config.json")).unwrap();
    let output = run(command(folder.path()).args(["models", "add"]).arg(&broken));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("holds none of model.safetensors"), "{}", text(&output.stderr));
    let output = run(command(folder.path()).args(["models", "add", "../up/../there"]));
    assert!(text(&output.stderr).contains("neither a folder nor a hub id"), "{}", text(&output.stderr));
}

#[test]
fn an_added_model_is_put_in_place_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    bring(&data, "team/feelings", "xlm-roberta");
    bring(&data, "team/names", "xlm-roberta-tokens");
    bring(&data, "reasons", "bert");
    let texts = folder.path().join("texts.txt");
    fs::write(&texts, "Angela Merkel sprach in Berlin\n").unwrap();
    let with_models = || {
        let mut command = command(&data);
        command.env("OVERHEARD__UNDERSTAND__SENTIMENT_MODEL", "team/feelings");
        command.env("OVERHEARD__UNDERSTAND__ENTITY_MODEL", "team/names");
        command.env("OVERHEARD__UNDERSTAND__CATEGORY_MODEL", "reasons");
        command
    };
    let answer: Value = serde_json::from_str(&succeed(with_models().arg("analyze").arg(&texts))).unwrap();
    let model = answer["model"].as_str().unwrap();
    assert!(model.ends_with("+ team--feelings + team--names + reasons"), "{model}");
    assert!(answer["category"]["label"].is_string(), "{answer}");

    let listed = succeed(with_models().args(["models", "list", "--format", "jsonl"]));
    let rows: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let used: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["model"].as_str().unwrap(), row["used_as"].as_str().unwrap())).collect();
    assert_eq!(
        used[1..],
        [
            ("reasons", "understand.category_model"),
            ("team/feelings", "understand.sentiment_model"),
            ("team/names", "understand.entity_model")
        ]
    );

    let output = run(with_models().args(["models", "remove", "team/names"]));
    assert!(text(&output.stderr).contains("understand.entity_model"), "{}", text(&output.stderr));
    succeed(command(&data).args(["models", "remove", "team/names"]));
    let output = run(with_models().arg("analyze").arg(&texts));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("overheard models add team/names"), "{}", text(&output.stderr));
}

#[test]
fn the_doctor_says_which_added_model_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    bring(&data, "team/good", "distilbert");
    let broken = bring(&data, "team/broken", "bert");
    fs::write(broken.join("model.safetensors"), "cut").unwrap();
    let output = run(command(&data).arg("doctor"));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let line = |state: &str, words: &str| said.lines().any(|line| line.starts_with(state) && line.contains(words));
    assert!(line("ok", "team/good: usable for sentiment, category"), "{said}");
    assert!(line("fail", "team/broken: ") && line("fail", "overheard models remove team/broken"), "{said}");
}
