//! The watch over a real lake: what is told when there are many posts, when the lake can't answer, and when posts come late.

mod incident;

use chrono::Duration;
use domain::{Backfill, Backfills, ManualClock};
use incident::{Running, begin, names_cause, onset, quick};
use lake::{Config, Lake};
use std::sync::Arc;

async fn lake(folder: &tempfile::TempDir, config: Config) -> Arc<Lake> {
    let clock = Arc::new(ManualClock::at(begin()));
    Arc::new(Lake::open(folder.path().to_str().unwrap(), config, clock).await.unwrap())
}

/// Whether the storm is told within two intervals, and its last telling names the cause.
async fn storm_is_told(per_day: u64, config: Config) {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(&folder, config).await;
    let mut numbers = 0;
    incident::write(&lake, per_day, begin(), onset(), &mut numbers).await.unwrap();
    let half = onset() + Duration::minutes(30);
    incident::write(&lake, per_day, onset(), half, &mut numbers).await.unwrap();
    let running = Running::start(&lake, quick(), half + Duration::minutes(1));
    let told = running.until(60, |running| running.told.of_storm().is_some_and(|storm| names_cause(&storm))).await;
    let storm = running.told.of_storm();
    assert!(told, "{per_day} a day: {storm:?}; {:?}", running.health.problems());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eightfold_hour_is_told_at_12_000_posts_a_day() {
    storm_is_told(12_000, Config::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eightfold_hour_is_told_with_a_sixteenth_of_the_memory_for_queries() {
    // As much less memory stands for as many more posts.
    storm_is_told(12_000, Config { query_memory_bytes: 16 << 20, ..Config::default() }).await;
}

async fn with_refused(question: &'static str) -> (tempfile::TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(&folder, Config::default()).await;
    let mut numbers = 0;
    incident::write(&lake, 3_000, begin(), onset(), &mut numbers).await.unwrap();
    let half = onset() + Duration::minutes(30);
    incident::write(&lake, 3_000, onset(), half, &mut numbers).await.unwrap();
    let running = Running::refused(&lake, quick(), half + Duration::minutes(1), Some(question));
    (folder, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_explained_is_told_by_its_numbers() {
    let (_folder, running) = with_refused("evidence").await;
    assert!(running.until(60, |running| running.told.of_storm().is_some()).await);
    let storm = running.told.of_storm().unwrap();
    assert!(storm.sentence.starts_with("Mentions of *trains* are "), "{}", storm.sentence);
    assert!(storm.drivers.is_empty());
    assert!(running.health.problems().is_empty(), "detection works: {:?}", running.health.problems());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_cannot_be_counted_is_a_problem_until_it_can() {
    let (_folder, running) = with_refused("topic_counts").await;
    let failing = |running: &Running| running.health.problems().iter().any(|problem| problem.component == "watch");
    assert!(running.until(60, failing).await);
    *running.asked.refused.lock().unwrap() = None;
    assert!(running.until(60, |running| running.told.of_storm().is_some() && !failing(running)).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_come_late_end_a_false_drop_and_raise_what_they_make_up() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(&folder, Config::default()).await;
    let mut numbers = 0;
    let (three, one) = (onset() - Duration::hours(3), onset() - Duration::hours(1));
    incident::write(&lake, 6_000, begin(), three, &mut numbers).await.unwrap();
    // Nothing arrives for two hours.
    let running = Running::start(&lake, quick(), one + Duration::minutes(1));
    let open_drop = |running: &Running| {
        let told = running.told.0.lock().unwrap();
        let last = |id: &str| told.iter().rev().find(|one| one.id == id).and_then(|one| one.end);
        told.iter().any(|one| one.onset >= three && one.observed < one.expected && last(&one.id).is_none())
    };
    assert!(running.until(60, open_drop).await, "two silent hours are noticed");
    incident::write(&lake, 6_000, three, one, &mut numbers).await.unwrap();
    assert!(running.until(60, |running| !open_drop(running)).await, "the posts were only late");
    // The next posts are a surge, twenty minutes late.
    let half = onset() + Duration::minutes(30);
    incident::write(&lake, 6_000, one, onset(), &mut numbers).await.unwrap();
    running.clock.set(half + Duration::minutes(20));
    incident::write(&lake, 6_000, onset(), half, &mut numbers).await.unwrap();
    assert!(running.until(60, |running| running.told.of_storm().is_some()).await, "late posts are judged");
    running.stop().await;
}

/// The newest day comes first and would look like a rise from nothing; each earlier day changes what is expected.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_comes_newest_first_is_judged_once_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(&folder, Config::default()).await;
    let (backfills, half) = (Arc::new(Backfills::default()), onset() + Duration::minutes(30));
    let progress = |done| Backfill { source: "feed".into(), done, complete_from: onset() };
    backfills.report(progress(0.0));
    let now = half + Duration::minutes(1);
    let running = Running::beside(&lake, quick(), now, None, backfills.clone());
    let mut numbers = 0;
    incident::write(&lake, 3_000, onset(), half, &mut numbers).await.unwrap();
    let mut to = onset();
    while to > begin() {
        let from = begin().max(to - Duration::days(2));
        incident::write(&lake, 3_000, from, to, &mut numbers).await.unwrap();
        backfills.report(progress(0.5));
        to = from;
    }
    assert!(!running.until(1, |running| running.effort().0 > 0).await, "nothing is counted while history comes in");
    backfills.finish("feed");
    assert!(running.until(60, |running| running.told.of_storm().is_some()).await);
    let told = running.told.0.lock().unwrap().clone();
    assert!(told.iter().all(|one| one.onset >= onset()), "a false alarm: {told:?}");
    running.stop().await;
}

/// A file that is read backwards brings a post older than all others again and again.
#[tokio::test(flavor = "multi_thread")]
async fn one_post_older_than_all_others_has_no_history_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(&folder, Config::default()).await;
    let mut numbers = 0;
    incident::write(&lake, 240, begin(), onset(), &mut numbers).await.unwrap();
    let running = Running::start(&lake, quick(), onset() + Duration::minutes(1));
    let days = (onset() - begin()).num_hours() as usize;
    assert!(running.until(60, |running| running.effort().1 >= days).await, "the history is counted once");
    let looks = running.effort().0;
    assert!(running.until(60, |running| running.effort().0 > looks + 2).await);
    let before = running.effort();
    for day in 1..=3 {
        let from = begin() - Duration::days(day);
        incident::write(&lake, 24, from, from + Duration::hours(1), &mut numbers).await.unwrap();
        let looks = running.effort().0;
        assert!(running.until(60, |running| running.effort().0 > looks + 2).await);
    }
    let counted = running.effort().1 - before.1;
    assert!(counted < days, "{counted} hours were counted for three posts");
    running.stop().await;
}
