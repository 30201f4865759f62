//! What a commit promises: once, whole, visible at once, also after a restart, a replay with other bounds, a deletion,
//! and beside another writer.

use crate::support::{at, batch, counts, enriched, id, one, open, rows};
use domain::{Alert, AlertState, Analytics, Anomaly, EnrichedBatch, PostTable, Severity, Slice};
use lake::{Config, Lake};
use serde_json::json;
use std::sync::Arc;
use tempfile::tempdir;

#[tokio::test]
async fn a_batch_is_visible_at_once_and_again_after_a_restart() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let before = lake.version();
    lake.commit(batch(1..=10)).await.unwrap();
    assert_eq!(counts(&lake).await, [10, 10, 20, 10]);
    assert!(lake.version() > before);
    drop(lake);
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [10, 10, 20, 10]);
}

#[tokio::test]
async fn every_column_holds_what_was_understood() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=1)).await.unwrap();
    let found = rows(&lake, "SELECT * FROM sentiment").await;
    let names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
    let value = |name: &str| found.rows[0][names.iter().position(|n| *n == name).unwrap()].clone();
    for (name, expected) in [
        ("post_id", json!("x:000001")),
        ("author", json!("rider")),
        ("author_followers", json!(12)),
        ("occurred_at", json!("2026-03-01T00:01:00Z")),
        ("event_date", json!("2026-03-01")),
        ("text", json!("@rail the train 1 to Berlin was late #Verspätung")),
        ("sentiment", json!("negative")),
        ("sentiment_negative", json!(0.7)),
        ("emotion", json!(null)),
        ("category", json!("delay")),
        ("topics", json!(["trains"])),
        ("hashtags", json!(["verspätung"])),
        ("place", json!("Berlin")),
        ("place_kind", json!("city")),
        ("place_from", json!("text")),
        ("lat", json!(52.52)),
        ("fingerprint", json!(42)),
        ("reach", json!(100)),
        ("issues", json!(["translation: off"])),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert_eq!(one(&lake, "SELECT \"end\" FROM key_phrases").await, json!(15));
    assert_eq!(one(&lake, "SELECT payload FROM raw").await, json!("{\"id\":\"1\"}"));
    assert_eq!(one(&lake, "SELECT is_repost FROM posts").await, json!(false));
}

#[tokio::test]
async fn a_replay_adds_nothing_whatever_its_bounds() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=10)).await.unwrap();
    lake.commit(batch(1..=10)).await.unwrap();
    lake.commit(batch(1..=4)).await.unwrap();
    drop(lake);
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(6..=15)).await.unwrap();
    assert_eq!(counts(&lake).await, [15, 15, 30, 15]);
    assert_eq!(one(&lake, "SELECT count(DISTINCT post_id) FROM raw").await, json!(15));
}

#[tokio::test]
async fn a_batch_that_a_crash_cut_short_is_completed_and_not_doubled() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=5)).await.unwrap();
    lake.commit(batch(6..=10)).await.unwrap();
    drop(lake);
    // The crash came after `raw` and `sentiment` had the second batch, before the others did.
    for table in ["entities", "key_phrases"] {
        std::fs::remove_file(folder.path().join(table).join("_delta_log/00000000000000000002.json")).unwrap();
    }
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [10, 10, 10, 5]);
    let refused = lake.rewrite(vec![enriched(6)]).await.unwrap_err();
    assert_eq!(refused.kind(), domain::ErrorKind::Retry);
    lake.commit(batch(6..=12)).await.unwrap();
    assert_eq!(counts(&lake).await, [12, 12, 24, 12]);
}

#[tokio::test]
async fn a_batch_without_posts_still_moves_the_transaction() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let empty = EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: 9,
        posts: Arc::default(),
        deletions: Vec::new(),
    };
    lake.commit(empty).await.unwrap();
    lake.commit(batch(8..=11)).await.unwrap();
    assert_eq!(counts(&lake).await[0], 2);
}

#[tokio::test]
async fn a_deletion_takes_the_post_out_of_every_table_and_out_of_its_own_batch() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=2_000)).await.unwrap();
    let mut with_deletions = batch(2_001..=2_003);
    with_deletions.deletions = vec![id(7), id(1_999), id(2_002), id(999_999)];
    lake.commit(with_deletions.clone()).await.unwrap();
    assert_eq!(counts(&lake).await, [2_000, 2_000, 4_000, 2_000]);
    for table in ["raw", "sentiment", "entities", "key_phrases"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE post_id IN ('x:000007', 'x:001999', 'x:002002')");
        assert_eq!(one(&lake, &sql).await, json!(0), "{table}");
    }
    lake.commit(with_deletions).await.unwrap();
    assert_eq!(counts(&lake).await, [2_000, 2_000, 4_000, 2_000]);
}

#[tokio::test]
async fn a_rewrite_replaces_what_is_there_and_brings_nothing_back() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=3_000)).await.unwrap();
    let mut again: Vec<_> = [5, 2_500, 4_000].map(enriched).into();
    for post in &mut again {
        post.enrichment.text_en = Some("rewritten".into());
        post.enrichment.entities.clear();
        post.topics = vec!["rail".into()];
    }
    lake.rewrite(again).await.unwrap();
    assert_eq!(counts(&lake).await, [3_000, 3_000, 5_996, 3_000]);
    let found = rows(&lake, "SELECT post_id FROM posts WHERE text_en = 'rewritten' ORDER BY 1").await.rows;
    assert_eq!(found, [[json!("x:000005")], [json!("x:002500")]]);
    assert_eq!(one(&lake, "SELECT count(*) FROM raw WHERE array_has(topics, 'rail')").await, json!(2));
}

#[tokio::test]
async fn anomalies_and_alerts_are_replaced_by_id() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let anomaly = |id: &str, observed| Anomaly {
        id: id.into(),
        topic: "trains".into(),
        category: None,
        slice: None,
        interval_s: 300,
        onset: at(0),
        end: None,
        observed,
        expected: 10.0,
        lower: 5.0,
        upper: 15.0,
        score: 0.9,
        severity: Severity::High,
        sentence: "four times as many".into(),
        drivers: Vec::new(),
        examples: Vec::new(),
        detected_at: at(300),
    };
    let slice = Some(Slice { dimension: domain::Dimension::Sentiment, value: "negative".into() });
    lake.put_anomalies(vec![anomaly("a", 40.0), Anomaly { slice, ..anomaly("b", 50.0) }]).await.unwrap();
    lake.put_anomalies(vec![anomaly("a", 60.0), anomaly("a", 61.0)]).await.unwrap();
    let found = rows(&lake, "SELECT anomaly_id, observed, onset, value FROM anomalies ORDER BY 1").await.rows;
    let onset = json!("2026-03-01T00:00:00Z");
    assert_eq!(
        found,
        [[json!("a"), json!(61.0), onset.clone(), json!(null)], [json!("b"), json!(50.0), onset, json!("negative")]]
    );
    let alert = |state| Alert {
        id: "alert-1".into(),
        rule: "rule".into(),
        topic: Some("trains".into()),
        state,
        opened_at: at(0),
        updated_at: at(10),
        resolved_at: None,
        severity: Severity::High,
        title: "trains".into(),
        anomalies: vec![anomaly("a", 61.0)],
        notified: vec![("log".into(), at(1))],
    };
    lake.put_alerts(vec![alert(AlertState::Open)]).await.unwrap();
    lake.put_alerts(vec![alert(AlertState::Resolved)]).await.unwrap();
    let found = rows(&lake, "SELECT state, anomaly_ids, notified FROM alerts").await.rows;
    assert_eq!(found, [[json!("resolved"), json!(["a"]), json!("[[\"log\",\"2026-03-01T00:00:01Z\"]]")]]);
}

#[tokio::test]
async fn two_writers_beside_each_other_lose_and_double_nothing() {
    let folder = tempdir().unwrap();
    let config = Config { compaction_files_min: 2, ..Config::default() };
    let one = Arc::new(open(folder.path(), config.clone()).await);
    let other = Arc::new(open(folder.path(), config).await);
    let commits = |lake: Arc<Lake>, partition: &'static str, first: u64| async move {
        for nth in 0..10 {
            let mut batch = batch(first + nth * 10..=first + nth * 10 + 9);
            batch.partition = partition.into();
            if nth > 0 {
                // A post of the batch before: deletions and compactions race for the same files.
                batch.deletions = vec![id(first + nth * 10 - 5)];
            }
            lake.commit(batch).await.unwrap();
        }
    };
    let compactions = |lake: Arc<Lake>| async move {
        for _ in 0..5 {
            lake.maintain(at(0)).await.unwrap();
        }
    };
    tokio::join!(
        commits(Arc::clone(&one), "left", 1_000),
        commits(Arc::clone(&other), "right", 2_000),
        compactions(Arc::clone(&one)),
        compactions(Arc::clone(&other)),
    );
    drop((one, other));
    let lake = open(folder.path(), Config::default()).await;
    assert_eq!(counts(&lake).await, [182, 182, 364, 182]);
    assert_eq!(crate::support::one(&lake, "SELECT count(DISTINCT post_id) FROM sentiment").await, json!(182));
}

#[tokio::test]
async fn a_reader_sees_commits_and_writes_nothing() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(domain::ManualClock::at(at(0)));
    let place = folder.path().to_str().unwrap();
    let missing = Lake::open_read_only(place, Config::default(), clock.clone()).await;
    assert!(matches!(missing, Err(lake::Error::Missing(_))));
    let writer = open(folder.path(), Config { checkpoint_commits: 1, ..Config::default() }).await;
    let reader = Lake::open_read_only(&format!("file://{place}"), Config::default(), clock).await.unwrap();
    for nth in 0..5 {
        writer.commit(batch(nth * 10 + 1..=nth * 10 + 10)).await.unwrap();
        // The writer cleans its log behind the reader's back.
        writer.maintain(at(1_000_000 * (nth as i64 + 1))).await.unwrap();
        assert_eq!(counts(&reader).await[0], (nth + 1) * 10);
    }
    assert_eq!(reader.commit(batch(100..=101)).await.unwrap_err().kind(), domain::ErrorKind::Reject);
}
