//! Pushed bodies: every form, every refusal, an answer for each item.

use chrono::{TimeZone, Utc};
use domain::{ManualClock, PostQueue, SourceId};
use sources::PushSource;
use sources::push::{Error, Outcome, POSTS_MAX, REMOVALS_MAX, REPLACES_MAX, Rights, Status};
use std::sync::Arc;
use testkit::MemoryQueue;

fn source(queue: &Arc<MemoryQueue>, rights: Rights) -> PushSource {
    let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap());
    PushSource::new(queue.clone(), Arc::new(clock), rights)
}

async fn accept(queue: &Arc<MemoryQueue>, body: &str, kind: Option<&str>) -> Result<Vec<Outcome>, Error> {
    source(queue, Rights::of("reviews")).accept(body.as_bytes(), kind, &SourceId("push:shop".into())).await
}

fn item(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"text\":\"text\",\"created_at\":\"2026-10-01T00:00:00Z\"}}")
}

#[tokio::test]
async fn each_item_has_its_answer() {
    let queue = Arc::new(MemoryQueue::default());
    let body = format!(
        "[{}, {{\"id\":\"2\"}}, {}, {}, {{\"id\":\"9\",\"deleted\":true}}, 5]",
        item("1"),
        item("1"),
        item("3")
    );
    let outcomes = accept(&queue, &body, Some("application/json; charset=utf-8")).await.unwrap();
    let statuses: Vec<(usize, Status)> = outcomes.iter().map(|outcome| (outcome.index, outcome.status)).collect();
    assert_eq!(
        statuses,
        [
            (0, Status::Stored),
            (1, Status::Rejected),
            (2, Status::Duplicate),
            (3, Status::Stored),
            (4, Status::Stored),
            (5, Status::Rejected)
        ]
    );
    assert_eq!(outcomes[0].post_id.as_deref(), Some("reviews:1"));
    assert_eq!(outcomes[1].reason.as_deref(), Some("there is no text"));
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.appended, depth.dead_letters), (3, 2));
    let again = accept(&queue, &item("9"), None).await.unwrap();
    assert_eq!(again[0].status, Status::Deleted, "it was deleted before");
    let json = serde_json::to_string(&outcomes[0]).unwrap();
    assert_eq!(json, r#"{"index":0,"post_id":"reviews:1","status":"stored"}"#);
    assert_eq!(queue.posts()[0].source.0, "push:shop");
}

#[tokio::test]
async fn lines_are_items_and_a_bad_line_is_one_bad_item() {
    let queue = Arc::new(MemoryQueue::default());
    let body = format!("{}\r\n\n{{broken\n{}", item("1"), item("2"));
    let outcomes = accept(&queue, &body, Some("application/x-ndjson")).await.unwrap();
    let statuses: Vec<Status> = outcomes.iter().map(|outcome| outcome.status).collect();
    assert_eq!(statuses, [Status::Stored, Status::Rejected, Status::Stored]);
}

#[tokio::test]
async fn calls_that_cannot_be_read_are_refused_as_a_whole() {
    let queue = Arc::new(MemoryQueue::default());
    let many = format!("[{}]", vec![item("1"); POSTS_MAX + 1].join(","));
    let table = [
        ("", None, 400, "empty"),
        ("  \n", Some("application/x-ndjson"), 400, "empty"),
        ("[{\"id\":1},", Some("application/json"), 400, "malformed"),
        ("{} {}", Some("application/json"), 400, "NDJSON"),
        ("id,text", Some("text/csv"), 415, "text/csv"),
        (many.as_str(), None, 413, "1001 posts"),
    ];
    for (body, kind, status, part) in table {
        let error = accept(&queue, body, kind).await.unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(queue.depth().await.unwrap(), domain::QueueDepth::default(), "nothing of them is kept");
}

#[tokio::test]
async fn a_full_queue_asks_the_caller_to_come_again() {
    let queue = Arc::new(MemoryQueue::with_capacity(1));
    accept(&queue, &item("1"), None).await.unwrap();
    let error = accept(&queue, &format!("[{},{{}}]", item("2")), None).await.unwrap_err();
    assert_eq!(error.status(), 429);
    assert_eq!(queue.depth().await.unwrap().dead_letters, 0, "the caller has the posts still, the bad one too");
}

#[tokio::test]
async fn the_posts_of_pages_count_against_the_limit_of_a_call() {
    let queue = Arc::new(MemoryQueue::default());
    let posts: Vec<String> = (0..=POSTS_MAX).map(|n| item(&n.to_string())).collect();
    let page = format!("{{\"data\":[{}]}}", posts.join(","));
    let error = accept(&queue, &page, None).await.unwrap_err();
    assert_eq!(error.status(), 413, "{error}");
    assert!(queue.posts().is_empty());
}

/// Every way to name a post of X, as a post, a deletion and a replacement.
fn of_x() -> Vec<(&'static str, String)> {
    let post = |more: &str| format!(r#"{{"id":"1","text":"t","created_at":"2026-10-01T00:00:00Z"{more}}}"#);
    let bare = r#""id":"1","text":"t","created_at":"2026-10-01T00:00:00Z""#;
    vec![
        ("post", post(r#","platform":"x""#)),
        ("post", post(r#","post_id":"x:1""#)),
        ("post", format!(r#"{{"data":{{{bare}}}}}"#)),
        ("post", format!(r#"{{"data":[{{{bare}}}]}}"#)),
        ("post", format!(r#"{{{bare},"public_metrics":{{}}}}"#)),
        ("deletion", r#"{"platform":"x","id":"1","deleted":true}"#.into()),
        ("deletion", r#"{"post_id":"x:1","deleted":true}"#.into()),
        ("deletion", r#"{"delete":{"status":{"id":1,"id_str":"1"}}}"#.into()),
        ("deletion", r#"{"data":{"delete":{"tweet":{"id":"1"}}}}"#.into()),
        ("deletion", r#"{"withheld":{"tweet":{"id":"1"},"withheld_in_countries":["XX"]}}"#.into()),
        ("replacement", post(r#","platform":"x","replaces":["2"]"#)),
        ("replacement", post(r#","post_id":"x:3","replaces":["2"]"#)),
        ("replacement", format!(r#"{{"data":{{{bare},"edit_history_tweet_ids":["2","1"]}}}}"#)),
    ]
}

#[tokio::test]
async fn a_token_brings_deletes_and_replaces_on_the_platforms_of_its_source_alone() {
    let x = |keep: &[&str]| Rights {
        platforms: vec!["x".into()],
        keep: keep.iter().map(|platform| (*platform).into()).collect(),
        ..Rights::of("reviews")
    };
    for (kind, item) in of_x() {
        for (rights, allowed) in [
            (Rights::of("reviews"), false),
            (Rights { platforms: vec!["bluesky".into()], ..Rights::of("reviews") }, false),
            (x(&[]), true),
            (x(&["reviews"]), true),
            (x(&["x"]), kind == "post"),
            (Rights::of("x"), true),
        ] {
            let queue = Arc::new(MemoryQueue::default());
            let source = source(&queue, rights.clone());
            let outcomes = source.accept(item.as_bytes(), None, &SourceId("push:reviews".into())).await.unwrap();
            let expected = if allowed { Status::Stored } else { Status::Rejected };
            assert_eq!(outcomes[0].status, expected, "{kind} {item} with {rights:?}: {:?}", outcomes[0].reason);
            let depth = queue.depth().await.unwrap();
            assert_eq!((depth.appended, depth.dead_letters), if allowed { (1, 0) } else { (0, 1) }, "{item}");
        }
    }
}

#[tokio::test]
async fn a_call_deletes_and_replaces_a_bounded_number_of_posts() {
    let queue = Arc::new(MemoryQueue::default());
    let replacing = |id: usize, count: usize| {
        let ids: Vec<String> = (0..count).map(|n| format!("\"{id}-{n}\"")).collect();
        format!(r#"{{"id":"{id}","text":"t","created_at":"2026-10-01T00:00:00Z","replaces":[{}]}}"#, ids.join(","))
    };
    let outcomes = accept(&queue, &replacing(1, REPLACES_MAX + 1), None).await.unwrap();
    assert_eq!(outcomes[0].reason.as_deref(), Some("the post replaces 33 others; at most 32 are accepted"));
    let posts = REMOVALS_MAX / REPLACES_MAX + 2;
    let items: Vec<String> = (2..2 + posts).map(|id| replacing(id, REPLACES_MAX)).collect();
    let outcomes = accept(&queue, &format!("[{}]", items.join(",")), None).await.unwrap();
    let stored = outcomes.iter().filter(|outcome| outcome.status == Status::Stored).count();
    assert_eq!(stored, REMOVALS_MAX / REPLACES_MAX);
}
