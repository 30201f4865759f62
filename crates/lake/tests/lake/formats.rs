//! Lakes that earlier versions of this program wrote are read, and written on, for ever.

use crate::support::{at, batch, counts, one, open, rows};
use domain::PostTable;
use lake::{Config, Lake};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tempfile::tempdir;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_lake_of_version_1_is_read_and_written_for_ever() {
    let folder = tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1"), folder.path());
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [5, 5, 10, 5]);
    let sql = "SELECT post_id, occurred_at, text, sentiment_negative, topics, hashtags, place, lat, issues FROM posts \
               WHERE post_id = 'x:000004'";
    assert_eq!(
        rows(&lake, sql).await.rows,
        [[
            json!("x:000004"),
            json!("2026-03-01T00:04:00Z"),
            json!("@rail the train 4 to Berlin was late #Verspätung"),
            json!(0.7),
            json!(["trains"]),
            json!(["verspätung"]),
            json!("Berlin"),
            json!(52.52),
            json!(["translation: off"])
        ]]
    );
    assert_eq!(one(&lake, "SELECT payload FROM raw WHERE post_id = 'x:000001'").await, json!("{\"id\":\"1\"}"));
    // Its transaction counts, so a replay of what it holds adds nothing.
    lake.commit(batch(4..=7)).await.unwrap();
    assert_eq!(counts(&lake).await, [7, 7, 14, 7]);
    // Rows of version 1 do not say the format of their payload.
    let sql = "SELECT payload_format FROM raw WHERE post_id IN ('x:000001', 'x:000007') ORDER BY post_id";
    assert_eq!(rows(&lake, sql).await.rows, [[Value::Null], [json!("simple")]]);
}

/// Takes a column out of a table that holds no rows yet, as if an older program had made it.
fn forget_column(folder: &Path, table: &str, column: &str) {
    let path = folder.join(table).join("_delta_log/00000000000000000000.json");
    let mut lines: Vec<Value> =
        std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metadata = lines.iter_mut().find_map(|line| line.get_mut("metaData")).unwrap();
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    let before = fields.len();
    fields.retain(|field| field["name"] != column);
    assert_eq!(fields.len() + 1, before);
    metadata["schemaString"] = json!(schema.to_string());
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn columns_that_an_older_table_lacks_are_added() {
    let folder = tempdir().unwrap();
    drop(open(folder.path(), Config::default()).await);
    forget_column(folder.path(), "sentiment", "fingerprint");
    let reader = Lake::open_read_only(
        folder.path().to_str().unwrap(),
        Config::default(),
        Arc::new(domain::ManualClock::at(at(0))),
    );
    assert!(
        crate::support::refused(&reader.await.unwrap(), "SELECT fingerprint FROM posts").await.contains("fingerprint")
    );
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=2)).await.unwrap();
    assert_eq!(one(&lake, "SELECT sum(fingerprint) FROM posts").await, json!(84));
}
