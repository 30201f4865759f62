//! What a query may and may not do, and how its errors read.

use crate::place::{Place, on_places};
use crate::support::{at, batch, one, open, refused, rows};
use arrow::util::display::array_value_to_string;
use domain::{PostTable, QueryLimits};
use futures::StreamExt as _;
use lake::Config;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::tempdir;

on_places!([disk, bucket] {
    a_time_range_opens_only_the_files_of_its_days,
    a_stream_holds_every_row_of_one_version,
    a_plan_does_not_tell_where_the_lake_lies,
});

#[tokio::test]
async fn questions_are_answered_with_names_types_and_json() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    lake.commit(batch(1..=100)).await.unwrap();
    let answer = rows(
        &lake,
        "SELECT date_trunc('hour', occurred_at) AS hour, count(*) AS mentions, avg(sentiment_score) AS score, \
         array_agg(DISTINCT country) AS countries FROM posts WHERE array_has(topics, 'trains') GROUP BY 1 ORDER BY 1",
    )
    .await;
    let columns: Vec<_> = answer.columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str())).collect();
    assert_eq!(columns, [("hour", "TIMESTAMP"), ("mentions", "BIGINT"), ("score", "DOUBLE"), ("countries", "TEXT[]")]);
    assert_eq!(answer.rows[0][..2], [json!("2026-03-01T00:00:00Z"), json!(59)]);
    assert_eq!(answer.rows[0][3], json!(["DE"]));
    assert!((answer.rows[0][2].as_f64().unwrap() + 0.6).abs() < 1e-6);
    assert_eq!(answer.rows.len(), 2);
    let topics = rows(&lake, "SELECT t, count(*) FROM (SELECT unnest(topics) AS t FROM entities) GROUP BY t").await;
    assert_eq!(topics.rows, [[json!("trains"), json!(200)]]);
    assert!(!rows(&lake, "SHOW TABLES").await.rows.is_empty());
    assert!(!rows(&lake, "DESCRIBE posts").await.rows.is_empty());
    assert!(!rows(&lake, "EXPLAIN SELECT * FROM raw").await.rows.is_empty());
}

async fn a_time_range_opens_only_the_files_of_its_days(place: Place) {
    let lake = open(&place, Config::default()).await;
    let mut ten_days = batch(1..=10);
    for post in Arc::make_mut(&mut ten_days.posts) {
        post.post.occurred_at = at((post.offset as i64 - 1) * 86_400);
    }
    lake.commit(ten_days).await.unwrap();
    let sql = "SELECT count(*) FROM posts WHERE occurred_at >= '2026-03-03' AND occurred_at < '2026-03-05'";
    assert_eq!(one(&lake, sql).await, json!(2));
    let plan = rows(&lake, &format!("EXPLAIN ANALYZE {sql}")).await.rows;
    let text = plan.iter().flatten().filter_map(|value| value.as_str()).collect::<String>();
    let scanned =
        text.split("count_files_scanned=").nth(1).and_then(|rest| rest.split([',', ']']).next()).unwrap_or("?");
    assert_eq!(scanned, "2", "{text}");
}

#[tokio::test]
async fn rows_and_bytes_are_limited_and_say_so() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config { answer_bytes_max: 1_000, ..Config::default() }).await;
    lake.commit(batch(1..=100)).await.unwrap();
    let limits = QueryLimits { rows_max: 10, ..QueryLimits::default() };
    let answer = lake.query("SELECT post_id FROM raw", limits).await.unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (10, true));
    let answer = lake.query("SELECT post_id FROM raw LIMIT 10", limits).await.unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (10, false));
    let answer = rows(&lake, "SELECT * FROM posts").await;
    assert!(answer.truncated && answer.rows.len() < 100);
}

#[tokio::test]
async fn lists_are_counted_by_what_they_hold() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config { answer_bytes_max: 1 << 20, ..Config::default() }).await;
    lake.commit(batch(1..=3_000)).await.unwrap();
    let answer = rows(&lake, "SELECT post_id, topics, hashtags, issues FROM posts").await;
    assert_eq!((answer.rows.len(), answer.truncated), (3_000, false));
    // Every type counts.
    for value in [
        "arrow_cast(repeat('x', 50000), 'LargeUtf8')",
        "make_array(repeat('x', 50000))",
        "encode(repeat('x', 50000), 'hex')",
    ] {
        let answer = rows(&lake, &format!("SELECT {value} FROM posts")).await;
        assert!(answer.truncated && answer.rows.len() < 22, "{value}: {}", answer.rows.len());
    }
}

async fn a_stream_holds_every_row_of_one_version(place: Place) {
    let lake = open(&place, Config { answer_bytes_max: 1_000, ..Config::default() }).await;
    lake.commit(batch(1..=3_000)).await.unwrap();
    let part = |part: &str| format!("SELECT post_id FROM sentiment WHERE {part} ORDER BY post_id");
    let statements = vec![part("post_id <= 'x:001000'"), part("post_id > 'x:001000'"), part("post_id > 'y'")];
    let mut stream = lake.sql(statements).await.unwrap();
    lake.commit(batch(3_001..=3_100)).await.unwrap();
    let mut ids = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        assert!(piece.num_rows() <= 512, "{}", piece.num_rows());
        let column = piece.column(0);
        ids.extend((0..piece.num_rows()).map(|row| array_value_to_string(column, row).unwrap()));
    }
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(ids.len(), 3_000, "what is committed meanwhile is left out");
    let mut wrong = lake.sql(vec!["DROP TABLE raw".into()]).await.unwrap();
    assert!(wrong.next().await.unwrap().is_err());
}

async fn a_plan_does_not_tell_where_the_lake_lies(place: Place) {
    let lake = open(&place, Config::default()).await;
    lake.commit(batch(1..=10)).await.unwrap();
    for explain in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE"] {
        let plan = format!("{:?}", rows(&lake, &format!("{explain} SELECT * FROM posts")).await.rows);
        assert!(plan.contains("parquet") && !plan.contains("hidden-place"), "{plan}");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let limits = QueryLimits { timeout: Duration::from_millis(50), ..QueryLimits::default() };
    let sql = "SELECT count(*) FROM generate_series(1, 1000000000000) AS t(i) WHERE i % 7 = 3";
    let error = lake.query(sql, limits).await.unwrap_err();
    assert!(error.to_string().contains("took longer than 0.05 s"), "{error}");
}

#[tokio::test]
async fn whatever_writes_or_reads_files_is_refused() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let secret = folder.path().join("secret.csv");
    std::fs::write(&secret, "a\n1\n").unwrap();
    let path = secret.to_str().unwrap();
    for sql in [
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{path}'"),
        format!("COPY (SELECT 1) TO '{path}'"),
        format!("SELECT * FROM '{path}'"),
        format!("SELECT * FROM read_csv('{path}')"),
        "INSERT INTO raw SELECT * FROM raw".into(),
        "WITH a AS (SELECT 1) INSERT INTO raw SELECT * FROM raw".into(),
        "SELECT * INTO copied FROM raw".into(),
        "SET datafusion.execution.target_partitions = 1".into(),
        "DROP TABLE raw".into(),
    ] {
        refused(&lake, &sql).await;
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "a\n1\n");
}

#[tokio::test]
async fn errors_say_what_was_meant() {
    let folder = tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    assert!(refused(&lake, "SELECT sentimnt FROM posts").await.contains("sentiment"));
    assert!(refused(&lake, "SELECT * FROM pots").await.contains("Did you mean posts?"));
    let function = refused(&lake, "SELECT arry_has(topics, 'x') FROM posts").await;
    assert!(function.contains("Did you mean 'array_has'?"), "{function}");
    assert!(refused(&lake, "SELEC 1").await.contains("can't be read"));
    assert!(refused(&lake, "SELECT 1; SELECT 2").await.contains("one statement at a time"));
}
