//! The promises of [`PostQueue`], the listener's side of the queue.

use crate::posts::{deletion, noon, post, record};
use domain::{Appended, DeadLetter, PostQueue};
use std::sync::Arc;

/// Runs every promise against a fresh queue each, of one partition.
pub async fn queue(make: impl AsyncFn() -> Arc<dyn PostQueue>) {
    offsets_start_at_one_and_grow(make().await).await;
    a_post_is_kept_once(make().await).await;
    a_deletion_goes_in_once_and_keeps_its_post_out(make().await).await;
    dead_letters_are_kept_newest_first(make().await).await;
    an_empty_queue_is_fine(make().await).await;
    appends_at_the_same_time_double_nothing(make().await).await;
}

async fn append(queue: &Arc<dyn PostQueue>, names: &[&str]) -> Vec<Appended> {
    queue.append(names.iter().map(|name| record(name)).collect()).await.expect("append")
}

async fn offsets_start_at_one_and_grow(queue: Arc<dyn PostQueue>) {
    let first = append(&queue, &["a", "b"]).await;
    let second = append(&queue, &["c"]).await;
    assert_eq!(first[0], Appended::Stored(1), "the first offset is 1");
    let offsets: Vec<u64> = first
        .iter()
        .chain(&second)
        .map(|answer| match answer {
            Appended::Stored(offset) => *offset,
            other => panic!("{other:?} for a new post"),
        })
        .collect();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "offsets grow by appending: {offsets:?}");
    let depth = queue.depth().await.expect("depth");
    assert_eq!((depth.waiting, depth.in_flight, depth.appended, depth.duplicates), (3, 0, 3, 0));
}

async fn a_post_is_kept_once(queue: Arc<dyn PostQueue>) {
    let answers = append(&queue, &["a", "b", "a"]).await;
    assert!(matches!(answers[..], [Appended::Stored(_), Appended::Stored(_), Appended::Duplicate]), "{answers:?}");
    let answers = append(&queue, &["b", "c"]).await;
    assert!(matches!(answers[..], [Appended::Duplicate, Appended::Stored(_)]), "{answers:?}");
    assert_eq!(queue.has(vec![post("a", "").id, post("d", "").id]).await.expect("has"), [true, false]);
    let depth = queue.depth().await.expect("depth");
    assert_eq!((depth.appended, depth.duplicates), (3, 2));
}

async fn a_deletion_goes_in_once_and_keeps_its_post_out(queue: Arc<dyn PostQueue>) {
    let records = vec![record("a"), deletion("a"), deletion("a"), record("a"), deletion("z"), record("z")];
    let answers = queue.append(records).await.expect("append");
    assert!(
        matches!(
            answers[..],
            [
                Appended::Stored(_),
                Appended::Stored(_),
                Appended::Duplicate,
                Appended::Deleted,
                Appended::Stored(_),
                Appended::Deleted
            ]
        ),
        "post, deletion, again, the post again, a deletion before its post: {answers:?}"
    );
}

async fn dead_letters_are_kept_newest_first(queue: Arc<dyn PostQueue>) {
    let letter = |reason: &str| DeadLetter {
        id: 0,
        source: "file:bad.jsonl".into(),
        platform: "reviews".into(),
        reason: reason.into(),
        payload: "{\"id\": 1, …".into(),
        payload_format: Some("simple".into()),
        provenance: Some(domain::Provenance::Push),
        occurred_at: noon(),
    };
    queue.dead_letter(vec![letter("one"), letter("two")]).await.expect("dead letter");
    queue.dead_letter(vec![letter("three")]).await.expect("dead letter");
    let kept = queue.dead_letters(2).await.expect("dead letters");
    assert_eq!(kept.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["three", "two"]);
    assert_eq!(DeadLetter { id: 0, ..kept[0].clone() }, letter("three"), "whole");
    assert!(kept.iter().all(|letter| letter.id > 0) && kept[0].id != kept[1].id, "with ids of the queue");
    let ids: Vec<u64> = queue.dead_letters(10).await.expect("dead letters").iter().map(|letter| letter.id).collect();
    let mut paged = Vec::new();
    let mut before = u64::MAX;
    while let Some(letter) = queue.dead_letters_before(before, 1).await.expect("page").pop() {
        before = letter.id;
        paged.push(letter.id);
    }
    assert_eq!(paged, ids, "pages give every letter once");
    assert_eq!(queue.find_dead_letter(kept[1].id).await.expect("find").as_ref(), Some(&kept[1]));
    for nobodys in [0, u64::MAX] {
        assert_eq!(queue.find_dead_letter(nobodys).await.expect("find"), None);
        assert_eq!(queue.remove_dead_letter(nobodys).await.expect("remove"), None);
    }
    let again = DeadLetter { occurred_at: noon() + chrono::Duration::hours(1), ..letter("one") };
    queue.dead_letter(vec![again]).await.expect("dead letter");
    assert_eq!(queue.depth().await.expect("depth").dead_letters, 3, "the same letter is kept once");
    let taken = queue.remove_dead_letter(kept[0].id).await.expect("remove");
    assert_eq!(taken.as_ref(), Some(&kept[0]));
    assert_eq!(queue.remove_dead_letter(kept[0].id).await.expect("remove"), None, "once");
    assert_eq!(queue.depth().await.expect("depth").dead_letters, 2);
}

async fn an_empty_queue_is_fine(queue: Arc<dyn PostQueue>) {
    assert!(queue.append(Vec::new()).await.expect("append").is_empty());
    assert!(queue.dead_letters(10).await.expect("dead letters").is_empty());
    let depth = queue.depth().await.expect("depth");
    assert_eq!(depth, domain::QueueDepth::default());
}

async fn appends_at_the_same_time_double_nothing(queue: Arc<dyn PostQueue>) {
    const WRITERS: usize = 4;
    const BATCHES: usize = 10;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut stored = 0;
                for batch in 0..BATCHES {
                    // The "shared" posts are the same for all writers.
                    let records = vec![record(&format!("{writer}-{batch}")), record(&format!("shared-{batch}"))];
                    let answers = queue.append(records).await.expect("append");
                    stored += answers.iter().filter(|answer| matches!(answer, Appended::Stored(_))).count();
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for writer in writers {
        stored += writer.await.expect("no panic");
    }
    assert_eq!(stored, (WRITERS + 1) * BATCHES, "each post is stored once");
    assert_eq!(queue.depth().await.expect("depth").appended, stored as u64);
}
