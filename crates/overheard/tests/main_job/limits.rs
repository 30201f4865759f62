//! What people can ask of a running house without hurting it: SQL that wants all memory, all time or all of the stack, and
//! exports of everything.

use crate::house::House;
use serde_json::{Value, json};
use std::time::Duration;

const DEEP: usize = 9_000;

/// Statements that ask for too much; each must be refused or ended, and none may be noticed by others.
fn killers() -> Vec<String> {
    let many = |part: &str, with: &str, count: usize| vec![part; count].join(with);
    let series = "generate_series(1, 1000000)";
    let mut statements = vec![
        // Deep trees of expressions.
        format!("SELECT {}", many("1", "+", DEEP)),
        format!("SELECT {}", many("'a'", "||", DEEP / 3)),
        format!("SELECT {} FROM posts", many("reach", "+", DEEP / 4)),
        format!("SELECT 1 WHERE {}", many("1=1", " OR ", DEEP / 4)),
        format!("SELECT 1 WHERE {}", many("1=1", " AND ", DEEP / 4)),
        format!("SELECT {}1{}", "(".repeat(DEEP), ")".repeat(DEEP)),
        format!("SELECT {}1", "- ".repeat(DEEP)),
        format!("SELECT {}true", "NOT ".repeat(DEEP / 3)),
        format!("SELECT {}1{}", "abs(".repeat(DEEP / 4), ")".repeat(DEEP / 4)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(700), " END".repeat(700)),
        many("SELECT 1", " UNION ALL ", 1_000),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(1_000), ")".repeat(1_000)),
        // One value that takes all memory.
        "SELECT repeat('x', 2000000000)".into(),
        "SELECT length(repeat('x', 2000000000))".into(),
        "SELECT lpad('x', 2000000000, 'y')".into(),
        "SELECT rpad('x', 2000000000)".into(),
        "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000)))".into(),
        "SELECT array_length(range(0, 2000000000))".into(),
        "SELECT array_length(array_repeat(repeat('x', 1000), 10000000))".into(),
        "SELECT string_agg(repeat('x', 100000), '') FROM generate_series(1, 100000)".into(),
        "SELECT length(array_to_string(array_repeat('x', 500000000), ','))".into(),
        // Many rows that take all memory.
        "SELECT arrow_cast(repeat('x', 50000), 'LargeUtf8') FROM generate_series(1, 1000000)".into(),
        "SELECT repeat('x', 1000000) FROM generate_series(1, 1000000) ORDER BY random()".into(),
        "SELECT array_agg(a.value) FROM generate_series(1, 1000000000) a".into(),
        "SELECT count(DISTINCT uuid()) FROM generate_series(1, 1000000000)".into(),
        "SELECT a.value, count(*) FROM generate_series(1, 1000000000) a GROUP BY a.value".into(),
        "SELECT row_number() OVER (ORDER BY random()) FROM generate_series(1, 1000000000)".into(),
        // All of the time.
        format!("SELECT sum(a.value * b.value) FROM {series} a, {series} b"),
        format!("SELECT count(*) FROM {series} a, {series} b, {series} c WHERE a.value + b.value = c.value * 7"),
        "SELECT count(*) FROM generate_series(1, 1000000000000) WHERE value % 7 = 3".into(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r".into(),
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT a.n + 1 FROM r a, r b) SELECT * FROM r".into(),
        format!("SELECT sum(levenshtein(repeat('ab', 20000), repeat('ba', 20000))) FROM {series}"),
        format!("SELECT count(*) FROM {series} WHERE regexp_like(repeat('a', 10000), '(a|aa)+$')"),
        "SELECT regexp_replace(repeat('a', 100000), '((a{1,100}){1,100}){1,100}', 'b')".into(),
        format!("SELECT sha512(repeat('x', 10000000)) FROM {series}"),
    ];
    // A list of constants as long as a statement may be.
    statements.push(format!("SELECT count(*) FROM {series} WHERE value IN ({})", many("7", ",", DEEP)));
    // A projection as wide.
    statements.push(format!("SELECT {} FROM posts a, posts b, posts c", many("*", ",", 2_000)));
    statements
}

/// Statements that must go on working beside them.
const GOOD: [&str; 4] = [
    "SELECT count(*) FROM posts",
    "SELECT sentiment, count(*) FROM posts GROUP BY 1 ORDER BY 2 DESC",
    "SELECT * FROM posts ORDER BY occurred_at DESC LIMIT 10",
    "SELECT t, count(*) FROM (SELECT unnest(topics) AS t FROM posts) GROUP BY t",
];

fn posts(count: usize) -> Vec<Value> {
    let text = "a line of text that is not short, about trains and planes and buses";
    let post = |number: usize| {
        let minute = number % (60 * 24);
        let at = format!("2026-01-{:02}T{:02}:{:02}:00Z", 5 + number % 3, minute / 60, minute % 60);
        json!({"id": number.to_string(), "text": format!("#late {text} {number}"), "created_at": at})
    };
    (0..count).map(post).collect()
}

async fn filled(house: &House, cookie: &str, count: usize) {
    for chunk in posts(count).chunks(1_000) {
        house.push(chunk).await;
    }
    house
        .until("every post is in the lake", async || {
            house.sql(cookie, "SELECT count(*) FROM sentiment").await["rows"][0][0] == count
        })
        .await;
}

#[tokio::test]
async fn sql_that_asks_for_too_much_hurts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[server.limits]\nsql_timeout_s = 1\nsql_memory_mb = 256\nsql_answer_mb = 4\n";
    let house = House::start_with(&folder.path().join("data"), settings).await;
    let cookie = house.sign_in().await;
    filled(&house, &cookie, 100).await;
    let before = house.resident_mb();
    let statements = killers();
    assert!(statements.len() >= 30);
    for statement in &statements {
        let name: String = statement.chars().take(60).collect();
        assert!(statement.len() <= 20_000, "{name}");
        let answer = house.sql(&cookie, statement).await;
        // Refused in words, or answered within the limits.
        let refused = answer["message"].as_str().is_some_and(|message| !message.is_empty());
        assert!(refused || answer["rows"].is_array(), "{name}: {answer}");
        assert!(answer["field"] == "sql" || !refused, "{name}: {answer}");
        let healthy = house.client.get(house.url("/healthz")).timeout(Duration::from_secs(2)).send().await;
        assert!(healthy.is_ok_and(|answer| answer.status() == 200), "/healthz after {name}");
    }
    for statement in GOOD {
        let answer = house.sql(&cookie, statement).await;
        assert!(answer["rows"].is_array(), "{statement}: {answer}");
    }
    let after = house.resident_mb();
    assert!(after < before + 150, "the house grew from {before} to {after} MB");
    let log = house.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn sql_shows_nothing_of_where_the_lake_lies() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hidden-place");
    let house = House::start_with(&data, "").await;
    let cookie = house.sign_in().await;
    filled(&house, &cookie, 10).await;
    for statement in [
        "EXPLAIN SELECT * FROM posts",
        "EXPLAIN VERBOSE SELECT * FROM posts",
        "EXPLAIN ANALYZE SELECT * FROM posts",
        "EXPLAIN FORMAT TREE SELECT * FROM posts",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.df_settings",
        "SHOW ALL",
        "SELECT * FROM '/etc/passwd'",
    ] {
        let answer = house.sql(&cookie, statement).await.to_string();
        assert!(!answer.contains("hidden-place"), "{statement}: {answer}");
    }
}

#[tokio::test]
async fn an_export_holds_every_post_and_sql_every_row_of_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start_with(&folder.path().join("data"), "").await;
    let cookie = house.sign_in().await;
    let count = 6_000;
    filled(&house, &cookie, count).await;
    let range = "from=2026-01-01T00:00:00Z&to=2026-01-10T00:00:00Z";
    let export = async |format: &str| {
        let address = house.url(&format!("/api/posts/export?format={format}&{range}"));
        let answer = house.client.get(address).header("cookie", &cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    };
    let csv = export("csv").await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let times: Vec<String> = reader.records().map(|record| record.unwrap()[5].to_owned()).collect();
    assert_eq!(times.len(), count);
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first");
    assert_eq!(export("jsonl").await.lines().count(), count);
    // Lists were once counted by the memory that they share.
    let answer = house.sql(&cookie, "SELECT post_id, topics, hashtags, issues FROM posts LIMIT 5000").await;
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["truncated"]), (5_000, &json!(false)));
    let answer = house.sql(&cookie, "SELECT * FROM posts LIMIT 5000").await;
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["truncated"]), (5_000, &json!(false)));
}
