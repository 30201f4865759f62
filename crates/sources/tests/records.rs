//! Records of every form into posts: X's payloads, our simple form, rows; and bad input, each kind answered with its
//! reason while the rest goes on.

use chrono::{TimeZone, Utc};
use domain::{Post, Provenance, Record, SourceId};
use sources::formats::parse_any as parse;
use sources::record::{Origin, Parsed, TEXT_MAX_BYTES};
use sources::x::payload::{Message, parse_message};

fn origin() -> Origin {
    Origin {
        source: SourceId("test".into()),
        platform: "x".into(),
        provenance: Provenance::File,
        received_at: Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap(),
    }
}

fn read(bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    parse(bytes, &origin(), &mut parsed);
    parsed
}

fn post(text: &str) -> Post {
    let mut parsed = read(text.as_bytes());
    assert_eq!(parsed.rejections, [], "{text}");
    match parsed.records.remove(0) {
        Record::Post(post) => *post,
        other => panic!("{other:?}"),
    }
}

fn rejection(bytes: &[u8]) -> String {
    let parsed = read(bytes);
    assert!(parsed.records.is_empty(), "{:?}", String::from_utf8_lossy(bytes));
    assert_eq!(parsed.rejections.len(), 1);
    parsed.rejections[0].reason.clone()
}

#[test]
fn a_line_of_the_airline_form_is_imported_as_it_is() {
    let line = r#"{"id": "567623209026334720", "text": "Bag benefit @united", "created_at": "2015-02-17T09:54:53.000Z", "username": "markhlyon", "user_location": "Washington, DC", "lat_lon": [38.9058375, -77.00423674], "retweet_count": 0}"#;
    let post = post(line);
    assert_eq!(post.id.as_str(), "x:567623209026334720");
    assert_eq!((post.platform.as_str(), post.text.as_str()), ("x", "Bag benefit @united"));
    assert_eq!(post.occurred_at.to_rfc3339(), "2015-02-17T09:54:53+00:00");
    let author = post.author.unwrap();
    assert_eq!(author.username.as_deref(), Some("markhlyon"));
    assert_eq!(author.location.as_deref(), Some("Washington, DC"));
    let point = post.coordinates.unwrap();
    assert_eq!((point.lat, point.lon), (38.9058375, -77.00423674));
    assert_eq!(post.url.as_deref(), Some("https://x.com/markhlyon/status/567623209026334720"));
    assert_eq!((post.payload.as_str(), post.provenance), (line, Provenance::File));
}

#[test]
fn the_simple_form_knows_the_usual_names() {
    let full = post(
        r#"{"id_str":"5","full_text":"whole","text":"cut…","created":"2026-10-01 08:30","author":{"id":9,"username":"@ana","followers":"1,234","location":"Lima"},"geo":{"type":"Point","coordinates":[-77.0,-12.0]},"place":{"full_name":"Lima, Peru"},"language":"es","platform":"mastodon","link":"https://example.org/5","views":99,"repost_of":4,"replaces":["3"],"whatever":{"deep":[1,2,{"x":null}]}}"#,
    );
    assert_eq!((full.id.as_str(), full.text.as_str()), ("mastodon:5", "whole"));
    let author = full.author.unwrap();
    assert_eq!(
        (author.id.as_deref(), author.username.as_deref(), author.followers),
        (Some("9"), Some("ana"), Some(1_234))
    );
    assert_eq!(full.coordinates.map(|point| (point.lat, point.lon)), Some((-12.0, -77.0)), "GeoJSON: longitude first");
    assert_eq!(full.place_name.as_deref(), Some("Lima, Peru"));
    assert_eq!((full.language_hint.as_deref(), full.reach), (Some("es"), Some(99)));
    assert_eq!(full.url.as_deref(), Some("https://example.org/5"));
    assert_eq!(full.repost_of.map(|id| id.to_string()).as_deref(), Some("mastodon:4"));
    assert_eq!(full.replaces[0].as_str(), "mastodon:3");
    let export = post(r#"{"post_id":"bluesky:at://did:plc:a/post/1","text":"t","occurred_at":1760000000}"#);
    assert_eq!((export.id.as_str(), export.platform.as_str()), ("bluesky:at://did:plc:a/post/1", "bluesky"));
    assert_eq!(
        post(r#"{"id":18446744073709551615,"text":"t","created_at":"2026-10-01T00:00:00Z"}"#).id.native_id(),
        "18446744073709551615"
    );
    assert_eq!(
        post(r#"{"id":1,"text":"t","created_at":"2026-10-01T00:00:00Z","lat_lon":[0,0]}"#).coordinates,
        None,
        "null island"
    );
    let gone = read(br#"{"id":"7","deleted":true}"#);
    assert!(matches!(&gone.records[..], [Record::Deletion(gone)] if gone.id.as_str() == "x:7"));
}

#[test]
fn a_post_without_an_id_gets_the_same_one_each_time() {
    let line = r#"{"text":"t","created_at":"2026-10-01T00:00:00Z","username":"ana"}"#;
    let (first, second) = (post(line), post(line));
    assert_eq!(first.id, second.id);
    assert_ne!(first.id, post(&line.replace("\"t\"", "\"u\"")).id);
    assert_ne!(first.id, post(&line.replace("ana", "bob")).id);
}

#[test]
fn x_payloads_become_posts() {
    let fixture = include_str!("fixtures/x_stream.jsonl");
    let posts: Vec<Post> = fixture.lines().map(post).collect();
    let first = &posts[0];
    assert_eq!(first.id.as_str(), "x:1890000000000000001");
    let author = first.author.as_ref().unwrap();
    assert_eq!(
        (author.id.as_deref(), author.username.as_deref(), author.followers),
        (Some("77"), Some("kari_n"), Some(321))
    );
    assert_eq!(author.location.as_deref(), Some("Oslo, Norway"));
    assert_eq!(first.coordinates.map(|point| (point.lat, point.lon)), Some((59.91, 10.75)));
    assert_eq!(first.place_name.as_deref(), Some("Oslo, Norway"));
    assert_eq!(first.topics_hint, ["airlines", "by hand"], "our prefix goes, each once");
    assert_eq!(first.reach, Some(321), "no impressions yet: the followers");
    assert_eq!(first.payload, fixture.lines().next().unwrap());
    assert_eq!(first.url.as_deref(), Some("https://x.com/kari_n/status/1890000000000000001"));
    let edited = &posts[1];
    assert_eq!(
        edited.replaces.iter().map(|id| id.native_id()).collect::<Vec<_>>(),
        ["1890000000000000001", "1890000000000000002"]
    );
    assert_eq!((edited.reach, edited.language_hint.as_deref()), (Some(55), None), "und is no language");
    let repost = &posts[2];
    assert_eq!(repost.repost_of.as_ref().map(|id| id.as_str()), Some("x:1890000000000000004"));
    assert_eq!(repost.text, "RT @kari_n: A very long complaint that was cut off, in full.");
    let long = &posts[3];
    assert_eq!(long.text, "The long post, all of it.");
    assert_eq!(long.occurred_at.format("%F").to_string(), "2025-02-13", "X's ids tell their time");
}

#[test]
fn a_page_of_the_search_is_cut_into_posts_that_stand_alone() {
    let page = r#"{"data":[{"id":"1890000000000000001","text":"one","author_id":"1","created_at":"2025-02-13T10:00:00.000Z"},{"id":"1890000000000000002","text":"","author_id":"2","created_at":"2025-02-13T10:00:00.000Z"},{"id":"1890000000000000003","text":"three","author_id":"2","created_at":"2025-02-13T10:00:00.000Z"}],"includes":{"users":[{"id":"1","username":"a"},{"id":"2","username":"b"}]},"meta":{"result_count":3,"next_token":"n"}}"#;
    let parsed = read(page.as_bytes());
    assert_eq!((parsed.records.len(), parsed.rejections.len()), (2, 1));
    let Record::Post(three) = &parsed.records[1] else { panic!("a post") };
    assert_eq!(three.author.as_ref().unwrap().username.as_deref(), Some("b"));
    let again = post(&three.payload);
    assert_eq!(
        Post { payload: String::new(), ..again },
        Post { payload: String::new(), ..(**three).clone() },
        "rebuilt from its payload"
    );
    assert!(!three.payload.contains("\"a\""), "only its own author");
    let empty = parse_message(r#"{"meta":{"result_count":0}}"#, &origin());
    assert_eq!(empty, Message::Records(Parsed::default()));
}

#[test]
fn notices_and_errors_of_the_stream_are_told_apart() {
    let deleted = |text: &str| match parse_message(text, &origin()) {
        Message::Records(parsed) => parsed.records.iter().map(|record| record.post_id().to_string()).collect(),
        other => vec![format!("{other:?}")],
    };
    let notice = r#"{"data":{"delete":{"tweet":{"id":"5","author_id":"1"},"event_at":"2025-02-13T10:00:00.000Z"}}}"#;
    assert_eq!(deleted(notice), ["x:5"]);
    assert_eq!(deleted(r#"{"delete":{"status":{"id":6,"id_str":"6","user_id":1}}}"#), ["x:6"], "the old form");
    assert_eq!(deleted(r#"{"data":{"withheld":{"tweet":{"id":"7"},"withheld_in_countries":["XX"]}}}"#), ["x:7"]);
    let partly =
        parse_message(r#"{"data":{"withheld":{"tweet":{"id":"7"},"withheld_in_countries":["DE"]}}}"#, &origin());
    assert_eq!(partly, Message::Notice("withheld".into()), "still public elsewhere");
    assert_eq!(parse_message(r#"{"new_kind":{"a":1},"b":2}"#, &origin()), Message::Notice("b new_kind".into()));
    let error = parse_message(
        r#"{"errors":[{"title":"operational-disconnect","disconnect_type":"UpstreamOperationalDisconnect","detail":"gone"}]}"#,
        &origin(),
    );
    let Message::Error(error) = error else { panic!("{error:?}") };
    assert_eq!(
        (error.title.as_str(), error.kind.as_str()),
        ("operational-disconnect", "UpstreamOperationalDisconnect")
    );
    let error = parse_message(
        r#"{"title":"ConnectionException","detail":"limit","connection_issue":"TooManyConnections"}"#,
        &origin(),
    );
    assert!(matches!(error, Message::Error(error) if error.kind == "TooManyConnections"));
    assert!(matches!(parse_message(r#"{"data":{"id":"1","te"#, &origin()), Message::Malformed(_)), "a line cut off");
}

#[test]
fn bad_input_is_answered_with_its_reason() {
    let line = |field: &str, value: &str| {
        let text = if field == "text" { value } else { "\"fine\"" };
        let created = if field == "created_at" { value } else { "\"2026-10-01T00:00:00Z\"" };
        format!("{{\"id\":\"1\",\"text\":{text},\"created_at\":{created}}}")
    };
    let huge = "a".repeat(1 << 20);
    let table: Vec<(Vec<u8>, &str)> = vec![
        (b"{\"id\": 1, \"text\": ".to_vec(), "malformed JSON"),
        (b"not json".to_vec(), "not a JSON object"),
        (b"[1]".to_vec(), "not a JSON object"),
        (b"{} {}".to_vec(), "malformed JSON"),
        (b"{\"text\": \"\xff\xfe\"}".to_vec(), "invalid UTF-8 at byte 10"),
        (line("text", &format!("\"{huge}\"")).into_bytes(), "1048576 bytes; at most 65536"),
        (line("text", "\"a\\u0000b\"").into_bytes(), "NUL"),
        (b"{\"id\":\"1\",\"text\":\"a\0b\"}".to_vec(), "malformed JSON"),
        (line("text", "\"\"").into_bytes(), "text is empty"),
        (line("text", "\" \\n\\t\"").into_bytes(), "text is empty"),
        (line("text", "null").into_bytes(), "no text"),
        (line("text", "[1]").into_bytes(), "not a text"),
        (line("created_at", "null").into_bytes(), "no created_at"),
        (line("created_at", "\"\"").into_bytes(), "no created_at"),
        (line("created_at", "0").into_bytes(), "1970"),
        (line("created_at", "\"1970-01-01T00:00:00Z\"").into_bytes(), "1970"),
        (line("created_at", "\"2100-01-01T00:00:00Z\"").into_bytes(), "future"),
        (line("created_at", "\"tomorrow\"").into_bytes(), "not a date"),
        (line("created_at", "-5").into_bytes(), "no time"),
        (line("created_at", "true").into_bytes(), "neither"),
        (b"{\"id\":1.5e300,\"text\":\"t\",\"created_at\":\"2026-10-01\"}".to_vec(), "loses digits"),
        (b"{\"id\":\"a b\",\"text\":\"t\",\"created_at\":\"2026-10-01\"}".to_vec(), "white space"),
        (b"{\"id\":\"1\",\"platform\":\"No Such\",\"text\":\"t\",\"created_at\":\"2026-10-01\"}".to_vec(), "platform"),
        (b"{\"deleted\":true}".to_vec(), "needs the id"),
        (br#"{"errors":[{"title":"Not Found"}]}"#.to_vec(), "an error message of X"),
        (br#"{"data":{"id":"1","created_at":"2025-02-13T10:00:00Z"}}"#.to_vec(), "no text"),
        (br#"{"data":[]}"#.to_vec(), "holds no post"),
        (vec![b'['; 100_000], "not a JSON object"),
        ([b"{\"a\":".repeat(100_000)].concat(), "malformed JSON"),
    ];
    for (bytes, part) in table {
        let reason = rejection(&bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        assert!(reason.contains(part), "{shown}: {reason}");
    }
}

#[test]
fn odd_but_good_input_is_taken() {
    let limit = "é".repeat(TEXT_MAX_BYTES / 2);
    for text in ["😡😡😡", "\u{202b}שלום\u{202c} \u{200f}", "\u{feff}bom", "a\u{301}", limit.as_str()] {
        let line =
            serde_json::json!({"id": "1", "text": text, "created_at": "2026-10-01", "unknown": {"x": [1]}}).to_string();
        assert_eq!(post(&line).text, text, "untouched");
    }
}

#[test]
fn a_rejected_record_is_kept_in_full_up_to_a_mebibyte() {
    let parsed = read(b"{\"id\": 1, \"te\xffxt\": 2}");
    assert_eq!(parsed.rejections[0].payload, "{\"id\": 1, \"te\u{fffd}xt\": 2}");
    let parsed = read(&vec![b'x'; 3 << 20]);
    let payload = &parsed.rejections[0].payload;
    assert!(payload.len() < (1 << 20) + 100 && payload.ends_with("(3145728 bytes in all)"), "{}", payload.len());
}

/// One post with many references to a large included post: each was copied for each reference.
#[test]
fn a_page_can_not_grow_beyond_its_own_size() {
    let reference = r#"{"type":"q","id":"9"}"#;
    let references = vec![reference; 20_000].join(",");
    let large = "x".repeat(50_000);
    let page = format!(
        r#"{{"data":[{{"id":"1","text":"t","created_at":"2026-10-01T00:00:00Z","referenced_tweets":[{references}]}}],"includes":{{"tweets":[{{"id":"9","text":"{large}"}}]}}}}"#
    );
    let payload = post(&page).payload;
    assert!(payload.len() < page.len() + 1_000, "{} of {} bytes", payload.len(), page.len());
    // Many posts of one author whose description is large.
    let posts: Vec<String> = (0..5_000)
        .map(|n| format!(r#"{{"id":"{n}","author_id":"7","text":"t","created_at":"2026-10-01T00:00:00Z"}}"#))
        .collect();
    let page = format!(
        r#"{{"data":[{}],"includes":{{"users":[{{"id":"7","username":"u","description":"{large}"}}]}}}}"#,
        posts.join(",")
    );
    let parsed = read(page.as_bytes());
    let bytes: usize = parsed
        .records
        .iter()
        .map(|record| match record {
            Record::Post(post) => post.payload.len(),
            Record::Deletion(_) => 0,
        })
        .sum();
    assert!(bytes < page.len() * 8 + (2 << 20), "{bytes} of {}", page.len());
    assert_eq!(parsed.records.len() + parsed.rejections.len(), 5_000, "none is lost without a word");
    assert!(parsed.rejections[0].reason.contains("too much to be repeated"), "{}", parsed.rejections[0].reason);
}

#[test]
fn lists_and_reasons_have_an_end() {
    let many = vec!["\"1\""; 200_000].join(",");
    let line = format!(r#"{{"id":"2","text":"t","created_at":"2026-10-01T00:00:00Z","replaces":[{many}]}}"#);
    assert!(rejection(line.as_bytes()).contains("versions"));
    let line = format!(
        r#"{{"data":{{"id":"2","text":"t","created_at":"2026-10-01T00:00:00Z","edit_history_tweet_ids":[{many}]}}}}"#
    );
    assert!(rejection(line.as_bytes()).contains("versions"));
    let line = format!(r#"{{"data":{{"id":"1","text":"t","created_at":"{}"}},"includes":3}}"#, "x".repeat(1 << 20));
    assert!(rejection(line.as_bytes()).chars().count() <= 501);
    let deep = format!(r#"{{"id":"2","text":"t","geo":{}"#, "[".repeat(1 << 20));
    assert!(rejection(deep.as_bytes()).contains("malformed JSON"));
}
