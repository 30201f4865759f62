//! Counting in memory and by SQL against a lake that goes through all posts: whatever was committed, compacted, deleted or
//! rewritten, and whatever is filtered by, all three say the same.

use crate::support::open;
use domain::analytics::{Analytics, BreakdownQuery};
use domain::{Dimension, EnrichedBatch, EnrichedPost, PostTable, Selection};
use lake::{Config, Lake};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use testkit::posts::{batch, noon};
use testkit::{MemoryLake, conformance, random};

fn posts(numbers: std::ops::RangeInclusive<u64>) -> EnrichedBatch {
    batch(numbers.map(random::post).collect())
}

/// Opens a lake that never counts in memory.
async fn by_sql(folder: &Path) -> Lake {
    open(folder, Config { counts_bytes_max: 0, ..Config::default() }).await
}

/// Waits until the posts are held in memory.
async fn held(lake: &Lake) {
    lake.warm_up();
    for _ in 0..2_000 {
        if lake.held_since().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the posts are never held in memory");
}

#[tokio::test]
async fn memory_says_what_a_walk_over_all_posts_says_whatever_happens_to_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), Config { settled_after: Duration::MAX, ..Config::default() }).await;
    let fake = MemoryLake::default();
    for nth in 0..10 {
        let numbers = nth * 60 + 1..=nth * 60 + 60;
        lake.commit(posts(numbers.clone())).await.unwrap();
        fake.commit(posts(numbers)).await.unwrap();
    }
    held(&lake).await;
    conformance::says_the_same(&lake, &fake, 1, 12).await;
    lake.commit(posts(601..=700)).await.unwrap();
    fake.commit(posts(601..=700)).await.unwrap();
    conformance::says_the_same(&lake, &fake, 2, 6).await;
    let maintained = lake.maintain(noon() + chrono::Duration::days(4)).await.unwrap();
    assert!(maintained.files_compacted > 0);
    conformance::says_the_same(&lake, &fake, 3, 6).await;
    let deletions: Vec<_> = (1..=700).step_by(5).map(|number| random::post(number).post.id).collect();
    let batch = EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: 701,
        posts: Arc::default(),
        deletions,
    };
    lake.commit(batch.clone()).await.unwrap();
    fake.commit(batch).await.unwrap();
    conformance::says_the_same(&lake, &fake, 4, 6).await;
    let rewritten = (2..=300).step_by(5);
    let rewritten = rewritten.map(|number| EnrichedPost { topics: vec!["ferry".into()], ..random::post(number) });
    let rewritten: Vec<EnrichedPost> = rewritten.collect();
    lake.rewrite(rewritten.clone()).await.unwrap();
    fake.rewrite(rewritten).await.unwrap();
    conformance::says_the_same(&lake, &fake, 5, 6).await;
}

#[tokio::test]
async fn sql_says_what_a_walk_over_all_posts_says() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, fake) = (by_sql(folder.path()).await, MemoryLake::default());
    lake.commit(posts(1..=500)).await.unwrap();
    fake.commit(posts(1..=500)).await.unwrap();
    conformance::says_the_same(&lake, &fake, 6, 10).await;
    assert_eq!(lake.held_since(), None);
}

#[tokio::test]
async fn the_lake_keeps_the_promises() {
    let folder = tempfile::tempdir().unwrap();
    let nth = std::sync::atomic::AtomicUsize::new(0);
    conformance::lake(async || {
        let nth = nth.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let lake = open(&folder.path().join(nth.to_string()), Config::default()).await;
        held(&lake).await;
        lake
    })
    .await;
}

#[tokio::test]
async fn names_of_days_that_are_gone_leave_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), Config::default()).await;
    let named = |number: u64| {
        let mut post = EnrichedPost { offset: number, ..random::post(number) };
        let is_old = number <= 2_000;
        post.post.occurred_at = noon() - chrono::Duration::days(if is_old { 30 } else { 0 });
        let name = if is_old { format!("a name that only this post has: {number}") } else { "ada".to_owned() };
        post.post.author = Some(domain::Author { username: Some(name), ..domain::Author::default() });
        post
    };
    lake.commit(batch((1..=2_100).map(named).collect())).await.unwrap();
    held(&lake).await;
    let (posts, bytes) = lake.counts_size();
    let deletions: Vec<_> = (1..=2_000).map(|number| random::post(number).post.id).collect();
    let deletion = EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: 2_101,
        posts: Arc::default(),
        deletions,
    };
    lake.commit(deletion).await.unwrap();
    let week = domain::TimeRange { from: noon() - chrono::Duration::days(7), to: noon() + chrono::Duration::days(1) };
    let query = BreakdownQuery { selection: Selection::all(week), by: Dimension::Author, limit: 5 };
    assert_eq!(lake.breakdown(&query).await.unwrap()[0].counts.mentions, 100);
    let (posts_left, bytes_left) = lake.counts_size();
    assert_eq!((posts, posts_left), (2_100, 100));
    assert!(bytes_left < bytes / 4, "{bytes_left} of {bytes} bytes");
}
