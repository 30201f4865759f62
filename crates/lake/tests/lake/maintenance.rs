//! What maintenance promises: the same rows in fewer files, days beyond the retention gone, a short log, a small disk.

use crate::place::{Place, on_places};
use crate::support::{at, batch, counts, one, open, rows};
use domain::{Analytics, Clock, PostTable, SystemClock, Timestamp};
use lake::{Config, Lake};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

on_places!([disk, bucket, faulty_bucket] {
    compaction_keeps_every_row_and_sorts_by_time,
    a_settled_day_becomes_one_file_and_unused_files_leave_the_disk,
    days_beyond_the_retention_go,
    the_version_grows_with_a_compaction_too,
    a_clock_that_jumped_ahead_deletes_nothing,
    the_first_run_after_the_retention_was_changed_passes,
});

async fn compaction_keeps_every_row_and_sorts_by_time(place: Place) {
    let lake = open(&place, Config::default()).await;
    // Late ones first, so that the order of arrival isn't the order of time.
    for nth in 0..40_u64 {
        let mut batch = batch(nth * 5 + 1..=nth * 5 + 5);
        for post in Arc::make_mut(&mut batch.posts) {
            post.post.occurred_at = at(10_000 - post.offset as i64);
        }
        lake.commit(batch).await.unwrap();
    }
    let before = (counts(&lake).await, rows(&lake, "SELECT * FROM posts ORDER BY post_id").await.rows);
    let done = lake.maintain(at(0)).await.unwrap();
    assert!(done.files_compacted >= 4 * 40 && done.files_made <= 4 * 5, "{done:?}");
    assert_eq!(done.rows_compacted, 200 * 5);
    let after = (counts(&lake).await, rows(&lake, "SELECT * FROM posts ORDER BY post_id").await.rows);
    assert_eq!(before, after);
    let plan = rows(&lake, "SELECT occurred_at FROM raw").await.rows;
    assert!(plan.is_sorted_by_key(|row| row[0].as_str().unwrap().to_owned()), "rows are sorted by time");
    drop(lake);
    let lake = open(&place, Config::default()).await;
    assert_eq!(counts(&lake).await, before.0);
    assert_eq!(lake.maintain(at(0)).await.unwrap().files_compacted, 0);
}

/// Maintains the lake as the program does: a run that fails is tried again. Returns the files that it says it expired; one
/// whose commit was not answered is not among them.
async fn maintained(lake: &Lake, now: Timestamp) -> u64 {
    for _ in 0..5 {
        if let Ok(done) = lake.maintain(now).await {
            return done.files_expired;
        }
    }
    panic!("the lake can't be maintained: {:?}", lake.maintain(now).await);
}

async fn a_settled_day_becomes_one_file_and_unused_files_leave_the_disk(place: Place) {
    // No grace: what is replaced may go at once.
    let config = Config { readers_grace: Duration::ZERO, checkpoint_commits: 1, ..Config::default() };
    let lake = open(&place, config.clone()).await;
    for nth in 0..5 {
        lake.commit(batch(nth * 10 + 1..=nth * 10 + 10)).await.unwrap();
    }
    // The vacuum goes by the time of the files, which is the system's.
    let later = SystemClock.now() + chrono::TimeDelta::hours(1);
    maintained(&lake, later).await;
    assert_eq!(place.count("sentiment", ".parquet"), 1 + 2, "one data file and two checkpoints");
    assert!(place.count("sentiment", ".json") <= 8, "the log is short");
    assert_eq!(counts(&lake).await, [50, 50, 100, 50]);
    drop(lake);
    let lake = open(&place, config).await;
    assert_eq!(counts(&lake).await, [50, 50, 100, 50]);
    lake.commit(batch(41..=60)).await.unwrap();
    assert_eq!(counts(&lake).await[0], 60, "the transaction outlives the checkpoint");
}

async fn days_beyond_the_retention_go(place: Place) {
    let lake = open(&place, Config { retention_days: Some(2), ..Config::default() }).await;
    let mut four_days = batch(1..=4);
    for post in Arc::make_mut(&mut four_days.posts) {
        post.post.occurred_at = at((post.offset as i64 - 1) * 86_400);
    }
    lake.commit(four_days).await.unwrap();
    let expired = maintained(&lake, at(3 * 86_400 + 3_600)).await;
    assert!(place.is_faulty() || expired == 4, "{expired}");
    assert_eq!(one(&lake, "SELECT min(event_date) FROM posts").await, json!("2026-03-02"));
    assert_eq!(counts(&lake).await, [3, 3, 6, 3]);
}

async fn the_version_grows_with_a_compaction_too(place: Place) {
    let lake = open(&place, Config { compaction_files_min: 2, ..Config::default() }).await;
    lake.commit(batch(1..=2)).await.unwrap();
    lake.commit(batch(3..=4)).await.unwrap();
    let before = lake.version();
    lake.maintain(at(0)).await.unwrap();
    assert!(lake.version() > before);
}

/// What a clock does that jumps ahead: everything looks older than the retention.
async fn a_clock_that_jumped_ahead_deletes_nothing(place: Place) {
    let config = Config { retention_days: Some(30), ..Config::default() };
    let lake = open(&place, config.clone()).await;
    let mut days = batch(1..=20);
    for post in Arc::make_mut(&mut days.posts) {
        post.post.occurred_at = at(post.offset as i64 * 86_400);
    }
    lake.commit(days).await.unwrap();
    maintained(&lake, at(20 * 86_400)).await;
    let ten_years = at(3_650 * 86_400);
    let refused = lake.maintain(ten_years).await.unwrap_err().to_string();
    assert!(refused.contains("20 of 20 posts") && refused.contains("repair --expire"), "{refused}");
    assert_eq!(counts(&lake).await, [20, 20, 40, 20]);
    // The clock is right again: the day that is due goes.
    let expired = maintained(&lake, at(32 * 86_400)).await;
    assert!(place.is_faulty() || expired == 4, "{expired}");
    assert_eq!(counts(&lake).await[0], 19);
    // A long stop, and a person who says that the clock is right.
    lake.maintain(ten_years).await.unwrap_err();
    lake.confirm_expiry(ten_years).await.unwrap();
    maintained(&lake, ten_years).await;
    assert_eq!(counts(&lake).await, [0, 0, 0, 0]);
}

async fn the_first_run_after_the_retention_was_changed_passes(place: Place) {
    let lake = open(&place, Config { retention_days: Some(300), ..Config::default() }).await;
    let mut days = batch(1..=20);
    for post in Arc::make_mut(&mut days.posts) {
        post.post.occurred_at = at(post.offset as i64 * 86_400);
    }
    lake.commit(days).await.unwrap();
    maintained(&lake, at(20 * 86_400)).await;
    drop(lake);
    let lake = open(&place, Config { retention_days: Some(5), ..Config::default() }).await;
    let expired = maintained(&lake, at(20 * 86_400)).await;
    assert!(place.is_faulty() || expired == 4 * 14, "{expired}");
    assert_eq!(counts(&lake).await[0], 6);
}
