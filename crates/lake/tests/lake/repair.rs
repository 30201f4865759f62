//! Damaged files: a check names each, an opening takes none of them silently, a repair keeps every row that is still
//! somewhere, and everything that it takes out.

use crate::support::{at, batch, counts, one, open};
use domain::{EnrichedBatch, Health, PartitionId, PostTable, QueryLimits};
use lake::{Checked, Config, Lake, Mend};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::tempdir;

fn partitions() -> [PartitionId; 2] {
    [0, 1].map(|index| PartitionId::new("posts", index))
}

async fn check(folder: &Path) -> Checked {
    lake::check(&folder.into(), &partitions(), |_, _| {}).await.unwrap()
}

async fn repair(folder: &Path, dry_run: bool) -> lake::Repaired {
    lake::repair(&folder.into(), &folder.join("quarantine"), &partitions(), at(0), dry_run).await.unwrap()
}

async fn refusal(folder: &Path) -> String {
    let clock = Arc::new(domain::ManualClock::at(at(0)));
    match Lake::open(folder.to_str().unwrap(), Config::default(), clock).await {
        Ok(_) => panic!("the damage was taken silently"),
        Err(error) => error.to_string(),
    }
}

fn entry(folder: &Path, table: &str, version: u64) -> PathBuf {
    folder.join(table).join(format!("_delta_log/{version:020}.json"))
}

fn data_file(folder: &Path, table: &str) -> PathBuf {
    let files = std::fs::read_dir(folder.join(table).join("event_date=2026-03-01")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

fn halve(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

/// Three batches of ten posts.
async fn filled(folder: &Path) {
    let lake = open(folder, Config::default()).await;
    for nth in 0..3 {
        lake.commit(batch(nth * 10 + 1..=nth * 10 + 10)).await.unwrap();
    }
}

fn told(checked: &Checked) -> String {
    checked.damages.iter().map(|damage| format!("{} {}: {}\n", damage.table, damage.file, damage.what)).collect()
}

/// The offset of each partition, which is the same in all tables.
fn offsets(checked: &Checked) -> Vec<Option<i64>> {
    let offset = |tables: &Vec<(&str, Option<i64>)>| {
        assert!(tables.len() == 4 && tables.iter().all(|(_, at)| *at == tables[0].1), "{tables:?}");
        tables[0].1
    };
    checked.transactions.values().map(offset).collect()
}

#[tokio::test]
async fn a_whole_lake_has_no_damage() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    let checked = check(folder.path()).await;
    assert_eq!(told(&checked), "");
    assert_eq!((checked.files, checked.rows), (12, 150));
    assert_eq!(offsets(&checked), [Some(30), None]);
    assert!(repair(folder.path(), false).await.steps.is_empty());
}

#[tokio::test]
async fn an_empty_last_entry_is_no_commit_without_rows() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    for content in ["", "{\"commitInfo\":{\"time"] {
        std::fs::write(entry(folder.path(), "raw", 3), content).unwrap();
        assert!(refusal(folder.path()).await.contains("log entry 3"));
    }
    assert!(told(&check(folder.path()).await).contains("log entry 3 is torn"));
    assert_eq!(repair(folder.path(), true).await.steps.len(), 1);
    assert!(entry(folder.path(), "raw", 3).exists(), "a dry run changes nothing");
    // `sentiment` knows the posts of the commit that was lost, and its data file is still there.
    let repaired = repair(folder.path(), false).await;
    assert!(!repaired.lost, "{repaired:?}");
    assert!(folder.path().join("quarantine/raw/_delta_log/00000000000000000003.json").exists());
    assert_eq!(told(&check(folder.path()).await), "");
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [30, 30, 60, 30]);
    lake.commit(batch(21..=32)).await.unwrap();
    assert_eq!(counts(&lake).await, [32, 32, 64, 32]);
}

#[tokio::test]
async fn a_derived_table_that_lost_a_commit_is_understood_again() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    std::fs::write(entry(folder.path(), "sentiment", 2), "").unwrap();
    let repaired = repair(folder.path(), false).await;
    assert!(!repaired.lost);
    assert_eq!(repaired.days.iter().collect::<Vec<_>>(), ["2026-03-01"]);
    let checked = check(folder.path()).await;
    assert!(told(&checked).contains("20 posts of raw are not in sentiment"), "{}", told(&checked));
    let lake = open(folder.path(), Config::default()).await;
    lake.rewrite((1..=30).map(crate::support::enriched).collect()).await.unwrap();
    assert_eq!(counts(&lake).await, [30, 30, 60, 30]);
    drop(lake);
    assert_eq!(told(&check(folder.path()).await), "");
}

#[tokio::test]
async fn every_partition_of_a_derived_table_catches_up() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    let lake = open(folder.path(), Config::default()).await;
    let [_, second] = partitions();
    lake.commit(EnrichedBatch { partition: second, last_offset: 5, ..batch(31..=35) }).await.unwrap();
    drop(lake);
    std::fs::write(entry(folder.path(), "sentiment", 3), "").unwrap();
    repair(folder.path(), false).await;
    let checked = check(folder.path()).await;
    assert_eq!(offsets(&checked), [Some(30), Some(5)]);
}

#[tokio::test]
async fn an_empty_first_entry_is_written_anew() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    for table in ["raw", "sentiment", "entities", "key_phrases", "anomalies", "alerts"] {
        std::fs::write(entry(folder.path(), table, 0), "").unwrap();
    }
    assert!(refusal(folder.path()).await.contains("log entry 0 is empty"));
    repair(folder.path(), false).await;
    assert_eq!(told(&check(folder.path()).await), "");
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [30, 30, 60, 30]);
}

#[tokio::test]
async fn a_torn_newest_checkpoint_still_opens() {
    let folder = tempdir().unwrap();
    let config = Config { checkpoint_commits: 2, readers_grace: std::time::Duration::ZERO, ..Config::default() };
    let lake = open(folder.path(), config.clone()).await;
    for nth in 0..9 {
        lake.commit(batch(nth * 10 + 1..=nth * 10 + 10)).await.unwrap();
        lake.maintain(at(1_000_000_000)).await.unwrap();
    }
    drop(lake);
    assert!(!entry(folder.path(), "raw", 0).exists(), "the log was cleaned");
    let log = std::fs::read_dir(folder.path().join("raw/_delta_log")).unwrap();
    let checkpoints =
        log.map(|file| file.unwrap().path()).filter(|path| path.to_str().unwrap().contains(".checkpoint"));
    let newest = checkpoints.max().unwrap();
    for content in [&b""[..], b"PAR1"] {
        std::fs::write(&newest, content).unwrap();
        assert!(told(&check(folder.path()).await).contains("checkpoint"));
        let lake = open(folder.path(), config.clone()).await;
        assert_eq!(counts(&lake).await[0], 90);
    }
}

#[tokio::test]
async fn a_damaged_data_file_is_told_and_the_other_days_are_answered() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config { counts_bytes_max: 0, ..Config::default() }).await;
    let mut two_days = batch(1..=20);
    for post in Arc::make_mut(&mut two_days.posts).iter_mut().skip(10) {
        post.post.occurred_at = at(86_400 + post.offset as i64);
    }
    lake.commit(two_days).await.unwrap();
    let health = Arc::new(Health::default());
    lake.report_to(Arc::clone(&health));
    halve(&data_file(folder.path(), "sentiment"));
    let asked = lake.query("SELECT count(text) FROM posts", QueryLimits::default()).await;
    assert!(asked.unwrap_err().to_string().contains("overheard check"));
    assert_eq!(health.problems()[0].component, "lake data");
    let other = "SELECT count(text) FROM posts WHERE occurred_at >= TIMESTAMP '2026-03-02T00:00:00Z'";
    assert_eq!(one(&lake, other).await, json!(10));
    let error = lake.maintain(at(0)).await.unwrap_err().to_string();
    assert!(error.contains("sentiment") && error.contains("event_date=2026-03-01"), "{error}");
    drop(lake);
    let checked = check(folder.path()).await;
    assert!(checked.damages.iter().any(|d| d.what.contains("10 rows of 2026-03-01") && d.mend == Mend::Repair));
    let repaired = repair(folder.path(), false).await;
    assert!(!repaired.lost && repaired.days.contains("2026-03-01"));
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [20, 10, 40, 20]);
    lake.rewrite((1..=10).map(crate::support::enriched).collect()).await.unwrap();
    assert_eq!(counts(&lake).await, [20, 20, 40, 20]);
}

#[tokio::test]
async fn originals_that_are_lost_are_told_and_kept_as_they_are() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    let file = data_file(folder.path(), "raw");
    halve(&file);
    let repaired = repair(folder.path(), false).await;
    assert!(repaired.lost);
    assert!(repaired.steps.iter().any(|(_, _, did)| did.contains("10 rows of 2026-03-01")), "{repaired:?}");
    let kept = folder.path().join("quarantine").join(file.strip_prefix(folder.path()).unwrap());
    assert!(kept.exists());
    let checked = check(folder.path()).await;
    assert!(told(&checked).contains("10 posts of sentiment are not in raw"), "{}", told(&checked));
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [20, 30, 60, 30]);
}

#[tokio::test]
async fn a_column_of_a_later_program_is_not_dropped() {
    let folder = tempdir().unwrap();
    filled(folder.path()).await;
    let path = entry(folder.path(), "raw", 0);
    let text = std::fs::read_to_string(&path).unwrap();
    let field = r#"{\"name\":\"from_the_future\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},"#;
    let later = text.replacen(r#"\"fields\":["#, &format!(r#"\"fields\":[{field}"#), 1);
    assert_ne!(text, later);
    std::fs::write(&path, later).unwrap();
    assert!(refusal(folder.path()).await.contains("from_the_future"));
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("lake.json"), "{\"format\":99}").unwrap();
    assert!(refusal(folder.path()).await.contains("format 99"));
}
