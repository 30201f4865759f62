//! The promises of [`PostQueue`].

use crate::posts::{deletion, noon, post, record};
use domain::{Appended, DeadLetter, Lease, PostQueue, Record};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Runs every promise against a fresh queue each.
pub async fn queue(make: impl AsyncFn() -> Arc<dyn PostQueue>) {
    offsets_start_at_one_and_grow(make().await).await;
    a_post_is_kept_once(make().await).await;
    a_post_stays_a_duplicate_after_its_ack(make().await).await;
    a_deletion_goes_in_once_and_keeps_its_post_out(make().await).await;
    records_come_back_whole_and_in_order(make().await).await;
    a_lease_is_exclusive_until_released(make().await).await;
    what_is_acked_is_forgotten(make().await).await;
    what_is_not_acked_in_time_is_lent_again(make().await).await;
    a_lease_that_is_extended_stays_out(make().await).await;
    several_leases_can_be_out_at_once(make().await).await;
    dead_letters_are_kept_newest_first(make().await).await;
    an_empty_append_and_an_empty_queue_are_fine(make().await).await;
    a_waiter_is_woken_by_an_append(make().await).await;
    appends_at_the_same_time_lose_and_double_nothing(make().await).await;
}

fn ids(lease: &Lease) -> Vec<&str> {
    lease.records.iter().map(|leased| leased.record.post_id().native_id()).collect()
}

async fn lease(queue: &Arc<dyn PostQueue>, limit: usize) -> Lease {
    queue.lease(limit, LONG).await.expect("lease").expect("something to lease")
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
    assert_eq!(ids(&lease(&queue, 10).await), ["a", "b", "c"]);
    let depth = queue.depth().await.expect("depth");
    assert_eq!((depth.appended, depth.duplicates), (3, 2));
}

async fn a_post_stays_a_duplicate_after_its_ack(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a"]).await;
    let held = lease(&queue, 1).await;
    assert_eq!(append(&queue, &["a"]).await, [Appended::Duplicate], "while in flight");
    queue.ack(held.id).await.expect("ack");
    assert_eq!(append(&queue, &["a"]).await, [Appended::Duplicate], "after the ack");
    assert_eq!(queue.has(vec![post("a", "").id, post("b", "").id]).await.expect("has"), [true, false]);
    assert!(queue.lease(1, LONG).await.expect("lease").is_none());
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
    let held = lease(&queue, 10).await;
    assert!(matches!(held.records[0].record, Record::Post(_)), "the post goes before its deletion");
    assert!(matches!(held.records[1].record, Record::Deletion(_)));
    assert_eq!(held.records.len(), 3);
    queue.ack(held.id).await.expect("ack");
    assert_eq!(append(&queue, &["z"]).await, [Appended::Deleted], "also after the ack");
}

async fn records_come_back_whole_and_in_order(queue: Arc<dyn PostQueue>) {
    let mut whole = post("1", "Größe 東京 😡 \u{202b}עברית\u{202c} \"quoted\"\n'; DROP TABLE posts;--");
    whole.replaces = vec![post("0", "").id];
    whole.topics_hint = vec!["airlines".into()];
    whole.payload_format = Some("x-v2".into());
    whole.coordinates = domain::Coordinates::checked(52.5, 13.4);
    whole.repost_of = Some(post("9", "").id);
    let records = vec![Record::Post(Box::new(whole)), deletion("2"), record("3")];
    queue.append(records.clone()).await.expect("append");
    let held = lease(&queue, 10).await;
    let back: Vec<Record> = held.records.iter().map(|leased| leased.record.clone()).collect();
    assert_eq!(back, records, "what comes out is what went in");
    assert!(held.records.windows(2).all(|pair| pair[0].offset < pair[1].offset), "in order of offset");
    assert!(!held.partition.is_empty());
}

async fn a_lease_is_exclusive_until_released(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a", "b"]).await;
    let held = lease(&queue, 10).await;
    assert!(queue.lease(10, LONG).await.expect("lease").is_none(), "nothing is lent twice");
    queue.release(held.id).await.expect("release");
    let again = lease(&queue, 10).await;
    assert_eq!(again.records, held.records, "a released lease is lent again, the same");
    assert_ne!(again.id, held.id);
}

async fn what_is_acked_is_forgotten(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a", "b", "c"]).await;
    let held = lease(&queue, 2).await;
    assert_eq!(ids(&held), ["a", "b"], "up to the limit, oldest first");
    let depth = queue.depth().await.expect("depth");
    assert_eq!((depth.waiting, depth.in_flight), (1, 2));
    queue.ack(held.id).await.expect("ack");
    queue.release(held.id).await.ok();
    let depth = queue.depth().await.expect("depth");
    assert_eq!(
        (depth.waiting, depth.in_flight, depth.appended),
        (1, 0, 3),
        "a release after the ack brings nothing back"
    );
    assert_eq!(ids(&lease(&queue, 10).await), ["c"]);
}

async fn what_is_not_acked_in_time_is_lent_again(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a", "b"]).await;
    let held = queue.lease(10, Duration::from_millis(1)).await.expect("lease").expect("records");
    let mut again = None;
    for _ in 0..500 {
        again = queue.lease(10, LONG).await.expect("lease");
        if again.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let again = again.expect("lent again once its time is over");
    assert_eq!(again.records, held.records);
    assert!(!queue.ack(held.id).await.expect("ack"), "the late ack of the first borrower forgets nothing");
    assert!(!queue.extend(held.id, LONG).await.expect("extend"), "what ran out can't be extended");
    queue.release(again.id).await.expect("release");
    assert_eq!(ids(&lease(&queue, 10).await), ["a", "b"], "a late ack takes nothing from the next borrower");
}

async fn a_lease_that_is_extended_stays_out(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a"]).await;
    let held = queue.lease(1, LONG).await.expect("lease").expect("a record");
    assert!(queue.extend(held.id, Duration::from_millis(1)).await.expect("extend"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!queue.extend(held.id, LONG).await.expect("extend"), "its new end counts");
    let again = queue.lease(1, Duration::from_millis(1)).await.expect("lease").expect("lent again");
    if queue.extend(again.id, LONG).await.expect("extend") {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(queue.lease(1, LONG).await.expect("lease").is_none(), "still out");
        assert!(queue.ack(again.id).await.expect("ack"));
    }
    assert!(!queue.ack(again.id).await.expect("ack"), "an ack counts once");
}

async fn several_leases_can_be_out_at_once(queue: Arc<dyn PostQueue>) {
    append(&queue, &["a", "b", "c"]).await;
    let one = lease(&queue, 1).await;
    let two = lease(&queue, 1).await;
    assert_eq!((ids(&one), ids(&two)), (vec!["a"], vec!["b"]));
    queue.ack(two.id).await.expect("ack");
    queue.release(one.id).await.expect("release");
    assert_eq!(ids(&lease(&queue, 10).await), ["a", "c"], "acks in any order");
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

async fn an_empty_append_and_an_empty_queue_are_fine(queue: Arc<dyn PostQueue>) {
    assert!(queue.append(Vec::new()).await.expect("append").is_empty());
    assert!(queue.lease(10, LONG).await.expect("lease").is_none());
    assert!(queue.dead_letters(10).await.expect("dead letters").is_empty());
    let depth = queue.depth().await.expect("depth");
    assert_eq!(depth, domain::QueueDepth::default());
    queue.wait(Duration::from_millis(1)).await;
}

async fn a_waiter_is_woken_by_an_append(queue: Arc<dyn PostQueue>) {
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move {
            while queue.lease(1, LONG).await.expect("lease").is_none() {
                queue.wait(Duration::from_secs(600)).await;
            }
        }
    });
    tokio::task::yield_now().await;
    append(&queue, &["a"]).await;
    tokio::time::timeout(LONG, waiting).await.expect("an append wakes the waiter").expect("no panic");
}

async fn appends_at_the_same_time_lose_and_double_nothing(queue: Arc<dyn PostQueue>) {
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
    let mut seen = HashSet::new();
    while let Some(held) = queue.lease(7, LONG).await.expect("lease") {
        for leased in &held.records {
            assert!(seen.insert(leased.record.post_id().clone()), "{} twice", leased.record.post_id());
        }
        queue.ack(held.id).await.expect("ack");
    }
    assert_eq!(seen.len(), stored);
    for writer in 0..WRITERS {
        for batch in 0..BATCHES {
            assert!(seen.contains(&post(&format!("{writer}-{batch}"), "").id));
        }
    }
}
