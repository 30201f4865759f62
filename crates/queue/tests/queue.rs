//! What the queue promises, one danger a test: repeats, deletions, full disks, leases that run out, several processes,
//! failed writes, damaged records, and files of earlier versions.

mod support;

use domain::{Appended, DeadLetter, ErrorKind, PostQueue, Record, StateStore, SystemClock, WorkQueue};
use queue::{Config, Embedded, Error};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, clock, deletion, drain, edit, id, open, post};
use tempfile::tempdir;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn another_process_sees_whether_any_lends_and_takes_nothing_by_asking() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let serving = open(folder.path(), Config::default(), &clock);
    let carrying = open(folder.path(), Config::default(), &clock);
    assert!(!serving.has_lender().await.unwrap());
    assert!(carrying.is_lender().await.unwrap(), "the question took nothing");
    assert!(serving.has_lender().await.unwrap() && carrying.has_lender().await.unwrap());
    drop(carrying);
    assert!(!serving.has_lender().await.unwrap());
}

#[tokio::test]
async fn a_repeat_is_kept_out_before_and_after_its_ack_and_after_a_restart() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    assert_eq!(
        queue.append(vec![post(1), post(1), post(2)]).await.unwrap(),
        [Appended::Stored(1), Appended::Duplicate, Appended::Stored(2)]
    );
    assert_eq!(drain(&queue, 10).await, [id(1), id(2)]);
    assert_eq!(queue.append(vec![post(2)]).await.unwrap(), [Appended::Duplicate]);
    drop(queue);
    let queue = open(folder.path(), Config::default(), &clock);
    assert_eq!(queue.append(vec![post(1), post(3)]).await.unwrap(), [Appended::Duplicate, Appended::Stored(3)]);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.appended, depth.duplicates, depth.waiting), (3, 3, 1));
}

#[tokio::test]
async fn a_deletion_follows_its_post_and_keeps_it_out_for_ever() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    let answers = queue.append(vec![post(1), deletion(1), post(1), deletion(1), deletion(2), post(2)]).await.unwrap();
    assert_eq!(
        answers,
        [
            Appended::Stored(1),
            Appended::Stored(2),
            Appended::Deleted,
            Appended::Duplicate,
            Appended::Stored(3),
            Appended::Deleted
        ]
    );
    assert_eq!(drain(&queue, 10).await, [id(1), id(1), id(2)]);
}

#[tokio::test]
async fn an_edit_keeps_the_versions_that_it_replaces_out() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    // X lists the edit's own id in its history too.
    assert_eq!(queue.append(vec![edit(3, &[1, 2, 3])]).await.unwrap(), [Appended::Stored(1)]);
    assert_eq!(queue.append(vec![post(1), post(3)]).await.unwrap(), [Appended::Deleted, Appended::Duplicate]);
}

#[tokio::test]
async fn a_full_queue_asks_to_wait_and_takes_more_after_an_ack() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let config = Config { waiting_max: 3, ..Config::default() };
    let queue = open(folder.path(), config, &clock);
    // A batch is taken whole while there is any room.
    queue.append((1..=4).map(post).collect()).await.unwrap();
    let refused = queue.append(vec![post(5)]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(refused.to_string().contains("queue is full: 4 records"), "{refused}");
    drain(&queue, 2).await;
    assert_eq!(queue.append(vec![post(5)]).await.unwrap(), [Appended::Stored(5)]);
    let config = Config { waiting_bytes_max: 10, ..Config::default() };
    drop(queue);
    let queue = open(folder.path(), config, &clock);
    assert_eq!(queue.append(vec![post(6)]).await.unwrap_err().kind(), ErrorKind::Retry);
}

#[tokio::test]
async fn a_lease_that_runs_out_is_lent_again_and_never_across_another() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append((1..=6).map(post).collect()).await.unwrap();
    let first = queue.lease(2, MINUTE).await.unwrap().unwrap();
    let second = queue.lease(2, MINUTE * 10).await.unwrap().unwrap();
    assert_eq!((first.partition.as_str() == queue.identity(), second.records[0].offset), (true, 3));
    // A step of the time of day ends no lease, whichever way it goes.
    clock.set(at(400));
    clock.set(at(-86_400));
    let third = queue.lease(2, MINUTE).await.unwrap().unwrap();
    assert_eq!(third.records[0].offset, 5);
    queue.release(third.id).await.unwrap();
    clock.advance(Duration::from_secs(61));
    let offsets = |lease: &domain::Lease| lease.records.iter().map(|leased| leased.offset).collect::<Vec<_>>();
    let again = queue.lease(10, MINUTE).await.unwrap().unwrap();
    assert_eq!(offsets(&again), [1, 2]);
    assert!(!queue.ack(first.id).await.unwrap(), "lent again");
    queue.ack(second.id).await.unwrap();
    let rest = queue.lease(10, MINUTE).await.unwrap().unwrap();
    assert_eq!(offsets(&rest), [5, 6]);
    queue.ack(rest.id).await.unwrap();
    queue.release(again.id).await.unwrap();
    assert_eq!(drain(&queue, 10).await, [id(1), id(2)]);
}

#[tokio::test]
async fn the_queue_and_the_document_store_keep_the_promises_of_their_ports() {
    let folders = std::sync::Mutex::new(Vec::new());
    let fresh = |partitions| {
        let folder = tempdir().unwrap();
        let config = Config { partitions, ..Config::default() };
        let queue = Embedded::open(folder.path().join("overheard.db"), config, Arc::new(SystemClock)).unwrap();
        folders.lock().unwrap().push(folder);
        Arc::new(queue)
    };
    testkit::conformance::queue(async || fresh(1) as Arc<dyn PostQueue>).await;
    for partitions in [1, 4] {
        testkit::conformance::work(async |lease| {
            let queue = fresh(partitions);
            let workers = [queue.clone() as Arc<dyn WorkQueue>, queue.clone()];
            testkit::conformance::Sides { listener: queue, workers, lease }
        })
        .await;
    }
    testkit::conformance::state(async || fresh(1) as Arc<dyn StateStore>).await;
}

#[tokio::test]
async fn what_was_not_acked_is_lent_again_after_a_restart() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append((1..=3).map(post).collect()).await.unwrap();
    let lease = queue.lease(1, MINUTE).await.unwrap().unwrap();
    queue.ack(lease.id).await.unwrap();
    queue.lease(1, MINUTE).await.unwrap().unwrap();
    assert_eq!(queue.depth().await.unwrap().in_flight, 1);
    drop(queue);
    let queue = open(folder.path(), Config::default(), &clock);
    assert_eq!(drain(&queue, 10).await, [id(2), id(3)]);
}

#[tokio::test]
async fn a_released_lease_is_lent_again_at_once() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1)]).await.unwrap();
    let lease = queue.lease(1, MINUTE).await.unwrap().unwrap();
    assert_eq!(queue.lease(1, MINUTE).await.unwrap(), None);
    queue.release(lease.id).await.unwrap();
    assert_eq!(queue.lease(1, MINUTE).await.unwrap().unwrap().records, lease.records);
}

#[tokio::test]
async fn a_lease_is_bounded_in_bytes_but_never_empty() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config { lease_bytes_max: 1, ..Config::default() }, &clock);
    queue.append((1..=2).map(post).collect()).await.unwrap();
    let lease = queue.lease(10, MINUTE).await.unwrap().unwrap();
    assert_eq!(lease.records.len(), 1);
}

#[tokio::test]
async fn only_one_of_two_openings_lends_and_the_other_takes_over_when_it_is_gone() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let listener = open(folder.path(), Config::default(), &clock);
    let worker = open(folder.path(), Config::default(), &clock);
    listener.append(vec![post(1)]).await.unwrap();
    let lease = worker.lease(1, MINUTE).await.unwrap().unwrap();
    assert_eq!(listener.lease(1, MINUTE).await.unwrap(), None);
    assert_eq!(worker.append(vec![post(1), post(2)]).await.unwrap(), [Appended::Duplicate, Appended::Stored(2)]);
    drop(worker);
    let again = listener.lease(10, MINUTE).await.unwrap().unwrap();
    assert_eq!(again.records[0], lease.records[0]);
    assert_eq!(again.records.len(), 2);
}

#[tokio::test]
async fn a_wait_ends_when_another_opening_appends() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let config = Config { poll: Duration::from_millis(5), ..Config::default() };
    let listener = open(folder.path(), config.clone(), &clock);
    let worker = Arc::new(open(folder.path(), config, &clock));
    let waiting = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.wait(Duration::from_secs(600)).await }
    });
    listener.append(vec![post(1)]).await.unwrap();
    waiting.await.unwrap();
    assert!(worker.lease(1, MINUTE).await.unwrap().is_some());
}

#[tokio::test]
async fn dead_letters_are_kept_newest_first_and_taken_out_once() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    let letter = |reason: &str| DeadLetter {
        id: 0,
        source: "file:a.jsonl".into(),
        platform: "reviews".into(),
        reason: reason.into(),
        payload: "{".into(),
        payload_format: None,
        provenance: None,
        occurred_at: at(0),
    };
    queue.dead_letter(vec![letter("first"), letter("second")]).await.unwrap();
    let kept = queue.dead_letters(1).await.unwrap();
    assert_eq!(kept, [DeadLetter { id: 2, ..letter("second") }]);
    assert_eq!(queue.remove_dead_letter(2).await.unwrap(), Some(kept[0].clone()));
    assert_eq!(queue.remove_dead_letter(2).await.unwrap(), None);
    // An id that was taken out is not given again.
    queue.dead_letter(vec![letter("third")]).await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap()[0].id, 3);
    assert_eq!(queue.depth().await.unwrap().dead_letters, 2);
}

#[tokio::test]
async fn documents_are_put_found_listed_and_deleted() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let store = open(folder.path(), Config::default(), &clock);
    assert_eq!(store.get("topic", "a").await.unwrap(), None);
    assert!(store.put_new("topic", "b", json!({"query": "x"})).await.unwrap());
    assert!(!store.put_new("topic", "b", json!("other")).await.unwrap());
    store.put("topic", "a", json!(1)).await.unwrap();
    store.put("topic", "a", json!([2, null])).await.unwrap();
    store.put("user", "a", json!("another kind")).await.unwrap();
    drop(store);
    let store = open(folder.path(), Config::default(), &clock);
    let all = store.list("topic").await.unwrap();
    assert_eq!(all, [("a".into(), json!([2, null])), ("b".into(), json!({"query": "x"}))]);
    assert!(store.delete("topic", "a").await.unwrap());
    assert!(!store.delete("topic", "a").await.unwrap());
    assert_eq!(store.get("user", "a").await.unwrap(), Some(json!("another kind")));
}

#[tokio::test]
async fn a_failed_write_poisons_the_writer_and_a_restart_heals_it() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1)]).await.unwrap();
    let path = folder.path().join("overheard.db");
    let saboteur = rusqlite::Connection::open(&path).unwrap();
    saboteur.execute_batch("ALTER TABLE records RENAME TO hidden").unwrap();
    assert_eq!(queue.append(vec![post(2)]).await.unwrap_err().kind(), ErrorKind::Stop);
    saboteur.execute_batch("ALTER TABLE hidden RENAME TO records").unwrap();
    // The file is well again, but this process can't know: it must not promise anything.
    let refused = queue.append(vec![post(3)]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Stop);
    assert!(refused.to_string().contains("restart to recover"), "{refused}");
    drop(queue);
    let queue = open(folder.path(), Config::default(), &clock);
    assert_eq!(queue.append(vec![post(2)]).await.unwrap(), [Appended::Stored(2)]);
}

#[tokio::test]
async fn a_damaged_record_goes_to_the_dead_letters_and_holds_up_nothing() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append((1..=3).map(post).collect()).await.unwrap();
    let path = folder.path().join("overheard.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(
            "UPDATE records SET body = x'017B7B' WHERE offset = 1; UPDATE records SET body = x'00' WHERE offset = 3",
        )
        .unwrap();
    assert_eq!(drain(&queue, 1).await, [id(2)]);
    let letters = queue.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters[1].reason.starts_with("stored record 1: "), "{}", letters[1].reason);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.in_flight), (0, 0));
    assert_eq!(queue.append(vec![post(4)]).await.unwrap(), [Appended::Stored(4)]);
}

#[tokio::test]
async fn a_later_programs_records_and_files_are_left_alone() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1)]).await.unwrap();
    let path = folder.path().join("overheard.db");
    let later = rusqlite::Connection::open(&path).unwrap();
    later.execute_batch("UPDATE records SET body = x'03FF'").unwrap();
    assert_eq!(queue.lease(1, MINUTE).await.unwrap_err().kind(), ErrorKind::Stop);
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
    drop(queue);
    later.execute_batch("PRAGMA user_version = 5").unwrap();
    let opened = Embedded::open(&path, Config::default(), clock);
    assert!(matches!(opened, Err(Error::NewerFormat { found: 5, known: 4, .. })));
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("overheard.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs(a)").unwrap();
    let opened = Embedded::open(&path, Config::default(), clock());
    assert!(matches!(opened, Err(Error::Foreign { .. })));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let _queue = open(folder.path(), Config::default(), &clock());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        let name = entry.file_name();
        assert_eq!(mode, 0, "{}", name.display());
    }
}

#[tokio::test]
async fn ids_are_forgotten_after_their_time_when_asked_to() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config { seen_days: Some(30), ..Config::default() }, &clock);
    queue.append(vec![post(1)]).await.unwrap();
    assert_eq!(queue.maintain().await.unwrap(), 0);
    // A clock that runs ahead makes nothing be forgotten: the newest event is what counts.
    clock.set(at(10 * 365 * 86_400));
    assert_eq!(queue.maintain().await.unwrap(), 0);
    let Record::Post(mut later) = post(2) else { panic!("a post") };
    later.occurred_at = at(31 * 86_400);
    queue.append(vec![Record::Post(later)]).await.unwrap();
    assert_eq!(queue.maintain().await.unwrap(), 1);
    assert_eq!(queue.append(vec![post(1)]).await.unwrap(), [Appended::Stored(3)]);
}

#[tokio::test]
async fn a_file_of_version_1_is_read_for_ever() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1.db");
    std::fs::copy(fixture, folder.path().join("overheard.db")).unwrap();
    let queue = open(folder.path(), Config::default(), &clock);
    let lease = queue.lease(10, MINUTE).await.unwrap().unwrap();
    let Record::Post(found) = &lease.records[0].record else { panic!("a post was stored first") };
    assert_eq!(lease.records[0].offset, 2);
    assert_eq!(found.id.as_str(), "x:2");
    assert_eq!(found.text, "Der Zug kam spät 🚆");
    assert_eq!(found.author.as_ref().unwrap().username.as_deref(), Some("pendler"));
    assert_eq!(found.occurred_at, at(0));
    assert_eq!(found.replaces, [id(1)]);
    assert_eq!(found.payload, "{\"id\":\"2\"}");
    assert_eq!(found.payload_format, None);
    assert_eq!(lease.records[1].record, deletion(3));
    assert_eq!(
        queue.append(vec![post(1), post(2), post(3)]).await.unwrap(),
        [Appended::Deleted, Appended::Duplicate, Appended::Deleted]
    );
    let letter = queue.dead_letters(1).await.unwrap().remove(0);
    assert_eq!((letter.reason.as_str(), letter.platform.as_str()), ("no text", "x"));
    assert_eq!((&letter.payload_format, letter.provenance), (&None, None));
    queue.dead_letter(vec![letter.clone(), letter]).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().dead_letters, 2, "letters of version 1 have no key");
    assert_eq!(queue.get("topic", "trains").await.unwrap(), Some(json!({"query": "zug OR bahn"})));
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.appended, depth.duplicates), (3, 3));
}

fn a_letter(reason: String) -> DeadLetter {
    DeadLetter {
        id: 0,
        source: "push:reviews".into(),
        platform: "reviews".into(),
        reason,
        payload: "{".into(),
        payload_format: None,
        provenance: None,
        occurred_at: at(0),
    }
}

#[tokio::test]
async fn dead_letters_have_a_limit_and_those_of_accepted_posts_always_room() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let config = Config { dead_letters_max: 3, ..Config::default() };
    let queue = open(folder.path(), config, &clock);
    let letters = |from: u32, to: u32| (from..to).map(|n| a_letter(format!("reason {n}"))).collect::<Vec<_>>();
    queue.dead_letter(letters(0, 3)).await.unwrap();
    let refused = queue.dead_letter(letters(3, 4)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Retry);
    assert!(refused.to_string().contains("queue.dead_letters_max"), "{refused}");
    assert!(queue.depth().await.unwrap().dead_letters_full);
    queue.dead_letter_accepted(letters(4, 6)).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().dead_letters, 5);
    for id in [1, 2, 3] {
        queue.remove_dead_letter(id).await.unwrap().unwrap();
    }
    assert!(!queue.depth().await.unwrap().dead_letters_full);
    queue.dead_letter(letters(3, 4)).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().dead_letters, 3);
    drop(queue);
    let config = Config { dead_letters_bytes_max: 10, ..Config::default() };
    let queue = open(folder.path(), config, &clock);
    assert_eq!(queue.dead_letter(letters(7, 8)).await.unwrap_err().kind(), ErrorKind::Retry);
}

#[tokio::test]
async fn a_queue_that_can_not_be_written_says_so_to_whoever_waits() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = Arc::new(open(folder.path(), Config::default(), &clock));
    let told = tokio::spawn({
        let queue = queue.clone();
        async move { queue.failed().await }
    });
    let path = folder.path().join("overheard.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("ALTER TABLE records RENAME TO hidden").unwrap();
    queue.append(vec![post(1)]).await.unwrap_err();
    assert!(told.await.unwrap().contains("records"));
}

#[tokio::test]
async fn a_rebuild_knows_what_the_lake_has_and_what_waits_under_a_new_identity() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1), post(2), post(3), deletion(4), post(5)]).await.unwrap();
    let lease = queue.lease(1, MINUTE).await.unwrap().unwrap();
    queue.ack(lease.id).await.unwrap();
    assert_eq!(queue.standing().await.unwrap()[0].acked_offset, 1);
    let former = queue.identity();
    // The lake lost post 1, has post 2 (not acked) and post 9 (of a later database).
    queue.begin_rebuild().await.unwrap();
    queue.add_rebuilt(vec![id(2).to_string(), id(9).to_string()], 19_000).await.unwrap();
    let rebuilt = queue.finish_rebuild().await.unwrap();
    assert_eq!(rebuilt.in_the_lake, 1);
    assert!(rebuilt.identity != former && rebuilt.identity == queue.identity());
    drop(queue);
    let queue = open(folder.path(), Config::default(), &clock);
    let standing = queue.standing().await.unwrap().remove(0);
    let expected = (rebuilt.identity.as_str(), 5, 0);
    assert_eq!((standing.partition.as_str(), standing.last_offset, standing.acked_offset), expected);
    let answers = queue.append(vec![post(1), post(2), post(3), post(4), post(9)]).await.unwrap();
    use Appended::{Deleted, Duplicate, Stored};
    assert_eq!(answers, [Stored(6), Duplicate, Duplicate, Deleted, Duplicate]);
    assert_eq!(drain(&queue, 10).await, [id(3), id(4), id(5), id(1)]);
}

#[tokio::test]
async fn a_copy_is_the_queue_as_of_one_moment() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let queue = open(folder.path(), Config::default(), &clock);
    queue.append(vec![post(1), post(2)]).await.unwrap();
    let copies = tempdir().unwrap();
    queue.copy_to(&copies.path().join("overheard.db")).await.unwrap();
    queue.append(vec![post(3)]).await.unwrap();
    let refused = queue.copy_to(&copies.path().join("overheard.db")).await.unwrap_err();
    assert!(refused.to_string().contains("there is a file"), "{refused}");
    let copy = open(copies.path(), Config::default(), &clock);
    assert_eq!(copy.identity(), queue.identity());
    assert_eq!(drain(&copy, 10).await, [id(1), id(2)]);
}

#[tokio::test]
async fn partitions_are_added_while_nothing_waits_and_never_taken_away() {
    let (folder, clock) = (tempdir().unwrap(), clock());
    let of = |partitions| Config { partitions, ..Config::default() };
    let queue = open(folder.path(), of(1), &clock);
    queue.append(vec![post(1)]).await.unwrap();
    drop(queue);
    let path = folder.path().join("overheard.db");
    let again = |partitions| Embedded::open(&path, of(partitions), clock.clone());
    let refused = again(4).err().unwrap().to_string();
    assert!(refused.contains("1 posts wait in it"), "{refused}");
    drain(&again(1).unwrap(), 10).await;
    let queue = again(4).unwrap();
    let answers = queue.append((2..50).map(post).collect()).await.unwrap();
    assert!(answers.contains(&Appended::Stored(2)) && !answers.contains(&Appended::Stored(30)), "{answers:?}");
    let names: Vec<String> = queue.partitions().iter().map(ToString::to_string).collect();
    assert_eq!(names[1..], [1, 2, 3].map(|index| format!("{}/{index}", queue.identity())));
    assert_eq!(drain(&queue, 10).await.len(), 48);
    drop(queue);
    let refused = again(1).err().unwrap().to_string();
    assert!(refused.contains("has 4 partitions, more than queue.partitions = 1: set it to 4"), "{refused}");
    let queue = again(4).unwrap();
    let standing = queue.standing().await.unwrap();
    assert!(standing.iter().all(|partition| partition.last_offset == partition.acked_offset), "{standing:?}");
    assert_eq!(standing.iter().map(|partition| partition.last_offset).sum::<u64>(), 49);
}
