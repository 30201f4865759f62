//! Texts analysed from the command line, with the shipped model: one answer a line, whatever is wrong with the others.

use crate::program::{command, run, text};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

fn analyze(folder: &Path, format: &str) -> Output {
    let file = folder.join("texts.jsonl");
    let lines = "{\"id\": \"a\", \"text\": \"I love the new seats, München!\"}\n\n{\"id\": \"b\", \"text\": \"cut off\n\
                 {\"id\": \"c\"}\nDas war schrecklich\n";
    std::fs::write(&file, lines).unwrap();
    run(command(&folder.join("data")).args(["analyze", "--format", format]).arg(file))
}

#[test]
fn bad_lines_are_told_by_number_and_the_others_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let output = analyze(folder.path(), "jsonl");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("line 3: not JSON") && said.contains("line 4: no \"text\""), "{said}");
    assert!(said.contains("line 5: taken as a text"), "{said}");
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&str> = answers.iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "3", "c", "5"]);
    assert_eq!(answers[0]["sentiment"]["label"], "positive");
    assert_eq!(answers[3]["sentiment"]["label"], "negative");
    assert_eq!((&answers[1]["line"], answers[1]["error"].is_string()), (&3.into(), true));
}

#[test]
fn spreadsheets_get_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let output = analyze(folder.path(), "csv");
    assert_eq!(output.status.code(), Some(3));
    let printed = text(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 5, "{printed}");
    assert!(lines[1].starts_with("a,\"I love the new seats, München!\",en,positive,0."), "{printed}");
    assert!(lines[4].starts_with("5,Das war schrecklich,de,negative,0."), "{printed}");
}

/// A LibreTranslate server that knows one sentence; its address.
async fn translator() -> String {
    let answer = async |Json(body): Json<Value>| {
        let known = body["source"] == "de" && body["target"] == "en" && body["q"] == "Das war schrecklich";
        match known {
            true => (StatusCode::OK, Json(json!({"translatedText": "That was terrible"}))),
            false => (StatusCode::BAD_REQUEST, Json(json!({"error": format!("{} is not supported", body["source"])}))),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/translate", post(answer))).into_future());
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_named_translates_into_english() {
    let folder = tempfile::tempdir().unwrap();
    let address = translator().await;
    let texts = folder.path().join("texts.txt");
    std::fs::write(&texts, "Das war schrecklich\nThat was fine\nC'était vraiment très bien, merci à tous\n").unwrap();
    let named = |address: &str| {
        let mut command = command(&folder.path().join("data"));
        command.env("OVERHEARD__TRANSLATION__ENGINE", "libretranslate");
        command.env("OVERHEARD__TRANSLATION__ENDPOINT", address);
        command
    };
    let refused = run(named("").args(["analyze"]).arg(&texts));
    assert!(text(&refused.stderr).contains("translation.endpoint"), "{}", text(&refused.stderr));
    let output = run(named(&address).args(["analyze", "--format", "jsonl"]).arg(&texts));
    let answers: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let english: Vec<&Value> = answers.iter().map(|answer| &answer["text_en"]).collect();
    assert_eq!(english, [&json!("That was terrible"), &json!("That was fine"), &Value::Null]);
    assert!(answers[2]["issues"][0].as_str().unwrap().contains("not supported"), "{}", answers[2]);
    let checked = run(named(&address).arg("doctor"));
    assert!(
        text(&checked.stdout).contains("fail  translation    libretranslate answered 400"),
        "{}",
        text(&checked.stdout)
    );
}
