//! A deleted post's words are searched for in every file of the data folder.

use super::request::Request;
use super::*;
use chrono::TimeDelta;
use domain::{
    Alert, AlertState, Appended, Author, Clock, DeadLetter, Driver, EnrichedBatch, Enrichment, ErrorKind, ExamplePost,
    ManualClock, Notification, PostQueue, QueryLimits, Record, Severity, WorkQueue,
};
use serde_json::json;
use std::path::Path;

const SECRET: &str = "the words that have to go 5f2a91";

fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn enriched(offset: u64, native_id: &str, author: &str, text: &str) -> EnrichedPost {
    let mut post = domain::Post::of_text(PostId::new("x", native_id).unwrap(), text.into(), noon());
    post.author =
        Some(Author { id: Some(format!("id of {author}")), username: Some(author.into()), ..Author::default() });
    post.payload = json!({"id": native_id, "text": text, "username": author}).to_string();
    EnrichedPost {
        offset,
        post,
        enrichment: Enrichment::default(),
        topics: Vec::new(),
        place: None,
        author_place: None,
        enriched_at: noon(),
    }
}

fn anomaly() -> Anomaly {
    let example = |native_id: &str, text: &str| ExamplePost {
        post_id: format!("x:{native_id}"),
        text: text.into(),
        url: None,
        sentiment: None,
        copies: 1,
    };
    let driver = Driver {
        dimension: domain::Dimension::Author,
        value: "Someone".into(),
        observed: 9.0,
        expected: 1.0,
        contribution: 0.4,
        new: false,
    };
    Anomaly {
        id: "a1".into(),
        topic: "trains".into(),
        category: None,
        slice: None,
        interval_s: 3600,
        onset: noon(),
        end: None,
        observed: 90.0,
        expected: 6.0,
        lower: 2.0,
        upper: 12.0,
        score: 0.9,
        severity: Severity::High,
        sentence: "Mentions are up: *Someone* explains most of it".into(),
        drivers: vec![driver],
        examples: vec![example("111111", SECRET), example("222222", "words that stay")],
        detected_at: noon(),
    }
}

/// An installation in which the words of a post have been copied to all places where they come to lie.
struct Installation {
    folder: tempfile::TempDir,
    queue: Arc<Embedded>,
    lake: Arc<Lake>,
    clock: Arc<ManualClock>,
}

impl Installation {
    async fn with_traces() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(noon()));
        let queue =
            Embedded::open(folder.path().join("overheard.db"), queue::Config::default(), clock.clone()).unwrap();
        let settings = lake::Config { readers_grace: Duration::ZERO, ..lake::Config::default() };
        let place = folder.path().join("lake");
        let lake = Lake::open(&place.to_string_lossy(), settings, clock.clone()).await.unwrap();
        let installation = Self { folder, queue: Arc::new(queue), lake: Arc::new(lake), clock };
        installation.fill().await;
        installation
    }

    async fn fill(&self) {
        let posts = vec![
            enriched(1, "111111", "Someone", SECRET),
            enriched(2, "222222", "other", "words that stay"),
            EnrichedPost {
                post: domain::Post {
                    repost_of: Some(PostId::new("x", "111111").unwrap()),
                    ..enriched(3, "333333", "third", SECRET).post
                },
                ..enriched(3, "333333", "third", SECRET)
            },
        ];
        let records = posts.iter().map(|post| Record::Post(Box::new(post.post.clone()))).collect();
        self.queue.append(records).await.unwrap();
        let lease = self.queue.lease(10, Duration::from_secs(60)).await.unwrap().unwrap();
        let batch = EnrichedBatch {
            partition: lease.partition.clone(),
            after_offset: lease.after_offset,
            last_offset: 3,
            posts: Arc::new(posts),
            deletions: Vec::new(),
        };
        self.lake.commit(batch).await.unwrap();
        self.queue.ack(lease.id).await.unwrap();
        self.lake.put_anomalies(vec![anomaly()]).await.unwrap();
        let alert = Alert {
            id: "alert".into(),
            rule: "storms".into(),
            topic: None,
            state: AlertState::Open,
            opened_at: noon(),
            updated_at: noon(),
            resolved_at: None,
            severity: Severity::High,
            title: "up".into(),
            anomalies: vec![anomaly()],
            notified: Vec::new(),
        };
        let mut document = serde_json::to_value(&alert).unwrap();
        document["fired_at"] = json!(noon());
        self.queue.put("alert", "alert", document.clone()).await.unwrap();
        self.queue.put("alert_done", "older", document).await.unwrap();
        let notification = Notification { id: "n".into(), channel: "log".into(), kind: "opened".into(), alert };
        alerts::Outbox::new(self.queue.clone(), 3600).queue(notification, noon(), noon()).await.unwrap();
        let letter = |payload: String| DeadLetter {
            id: 0,
            source: "push:reviews".into(),
            platform: "x".into(),
            reason: "bad".into(),
            payload,
            payload_format: None,
            provenance: None,
            occurred_at: noon(),
        };
        let letters = vec![
            letter(json!({"id": 111_111, "text": SECRET}).to_string()),
            letter(format!("111111,{SECRET},2026-03-02")),
            letter(json!({"id": 222_222, "text": "words that stay"}).to_string()),
        ];
        self.queue.dead_letter(letters).await.unwrap();
        self.queue.put("label", "x:111111", json!([])).await.unwrap();
        self.queue.put("label_waiting", "w", json!("x:111111")).await.unwrap();
    }

    /// The files that hold the words, as bytes.
    fn files_with(&self, words: &str) -> Vec<String> {
        let mut found = Vec::new();
        for file in files(self.folder.path()) {
            let bytes = std::fs::read(&file).unwrap();
            if bytes.windows(words.len()).any(|window| window == words.as_bytes()) {
                found.push(file.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
        found
    }

    async fn count(&self, sql: &str) -> u64 {
        let rows = self.lake.query(sql, QueryLimits::default()).await.unwrap().rows;
        rows[0][0].as_u64().unwrap()
    }

    /// Nothing of the post is left, and the rest is.
    async fn assert_cleared(&self, posts_left: u64) {
        self.clock.set(noon() + TimeDelta::hours(3));
        self.lake.maintain(self.clock.now()).await.unwrap();
        assert_eq!(self.files_with(SECRET), Vec::<String>::new());
        for table in ["raw", "sentiment", "anomalies"] {
            let column = if table == "raw" {
                "payload"
            } else if table == "anomalies" {
                "examples"
            } else {
                "text"
            };
            let with = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%{SECRET}%'");
            assert_eq!(self.count(&with).await, 0, "{table}");
        }
        assert_eq!(self.count("SELECT count(*) FROM raw").await, posts_left);
        assert_eq!(self.count("SELECT count(*) FROM anomalies WHERE examples LIKE '%words that stay%'").await, 1);
        assert_eq!(self.queue.dead_letters(10).await.unwrap().len(), 1);
        assert!(self.queue.list("label").await.unwrap().is_empty());
        for (kind, key) in [("alert", "alert"), ("alert_done", "older"), ("notification", "n")] {
            let document = self.queue.get(kind, key).await.unwrap().unwrap().to_string();
            assert!(document.contains("words that stay"), "{kind}");
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_its_platform_deletes_leaves_no_words_in_any_file() {
    let here = Installation::with_traces().await;
    assert!(!here.files_with(SECRET).is_empty(), "the search finds the words where they are");
    let table = NotedTable { lake: here.lake.clone(), state: here.queue.clone() };
    let deletions = ["x:111111", "x:333333"].map(|id| PostId::parse(id).unwrap()).to_vec();
    let batch =
        EnrichedBatch { partition: "posts".into(), after_offset: 0, last_offset: 5, posts: Arc::default(), deletions };
    table.commit(batch).await.unwrap();
    let now = noon() + TimeDelta::minutes(2);
    carry_on(&here.queue, &here.lake, now).await.unwrap();
    // A copy that was being written meanwhile.
    here.lake.put_anomalies(vec![anomaly()]).await.unwrap();
    assert_eq!(here.queue.list("deletion").await.unwrap().len(), 1, "looked at once more later");
    carry_on(&here.queue, &here.lake, clock().now() + TimeDelta::minutes(11)).await.unwrap();
    assert!(here.queue.list("deletion").await.unwrap().is_empty());
    here.assert_cleared(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_who_is_forgotten_leaves_no_words_in_any_file_and_stays_out() {
    let here = Installation::with_traces().await;
    let request = Request { author: Some("@SOMEONE".into()), and_block: true, ..Request::default() };
    let found = request.find(&here.lake).await.unwrap();
    let posts: Vec<&str> = found.posts.iter().map(String::as_str).collect();
    assert_eq!((posts, found.reposts), (vec!["x:111111", "x:333333"], 1));
    assert_eq!(here.count("SELECT count(*) FROM raw").await, 3, "looking deletes nothing");

    let cleared = request.carry_out(&found, &here.queue, &here.lake, true, |_| {}).await.unwrap();
    assert_eq!(cleared, Some(Cleared { anomalies: 1, documents: 3, dead_letters: 2, labels: 1 }));
    here.assert_cleared(1).await;
    for words in ["Someone", "id of Someone"] {
        assert_eq!(here.files_with(words), Vec::<String>::new(), "{words}");
    }
    let again = Record::Post(Box::new(enriched(0, "111111", "Someone", SECRET).post));
    assert_eq!(here.queue.append(vec![again]).await.unwrap(), [Appended::Deleted]);
    assert_eq!(
        state::BlockedAuthors::new(here.queue.as_ref()).keys().await.unwrap(),
        HashSet::from(["someone".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_found_by_a_query_and_a_request_for_nothing_is_refused() {
    let here = Installation::with_traces().await;
    let by = async |request: Request| request.find(&here.lake).await;
    let found = by(Request { query: Some("\"words that stay\"".into()), ..Request::default() }).await.unwrap();
    assert_eq!(found.posts, BTreeSet::from(["x:222222".to_owned()]));
    for nothing in [
        Request::default(),
        Request { author: Some(" @ ".into()), ..Request::default() },
        Request { posts: vec!["x:1".into()], and_block: true, ..Request::default() },
    ] {
        assert_eq!(by(nothing.clone()).await.unwrap_err().kind(), ErrorKind::Reject, "{nothing:?}");
    }
}

#[test]
fn a_post_of_a_blocked_author_is_left_out() {
    struct Plain;
    impl domain::Enricher for Plain {
        fn enrich(&self, posts: &[domain::Post]) -> Vec<Result<Enrichment>> {
            posts.iter().map(|_| Ok(Enrichment::default())).collect()
        }
        fn model(&self) -> &str {
            "plain"
        }
    }
    let matcher = domain::topic::TopicMatcher::new(Vec::new()).unwrap();
    let understand = pipeline::Understand::new(Arc::new(Plain), places::Gazetteer::embedded().unwrap(), matcher);
    let leased = |offset, author| domain::Leased {
        offset,
        record: Record::Post(Box::new(enriched(offset, "1", author, "text").post)),
    };
    let left = |blocked: &str| {
        understand.set_blocked(HashSet::from([blocked.to_owned()]));
        let understood = understand.records(vec![leased(1, "@SomeOne"), leased(2, "other")], noon());
        understood.posts.iter().map(|post| post.offset).collect::<Vec<_>>()
    };
    assert_eq!(left("someone"), [2]);
    assert_eq!(left("x:someone"), [2]);
    assert_eq!(left("mastodon:someone"), [1, 2]);
    assert_eq!(left("id of other"), [1]);
}
