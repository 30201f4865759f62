//! Files as other tools write them: what is read, and what is told when something was not used, assumed or refused.
//! Nothing may be lost or changed without a word.

use chrono::{TimeZone, Utc};
use domain::{ManualClock, Post, PostQueue, Provenance, SourceId};
use sources::file::Report;
use sources::formats::parse_any as parse;
use sources::record::{ColumnMapping, Origin, Parsed};
use sources::{FileConfig, FileSource};
use std::sync::Arc;
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

struct Imported {
    queue: Arc<MemoryQueue>,
    report: Report,
}

impl Imported {
    fn posts(&self) -> Vec<Post> {
        self.queue.posts()
    }

    /// Whether a guess with these words was told, and how often.
    fn guessed(&self, words: &str) -> u64 {
        self.report.notes.guesses.iter().filter(|(what, _)| what.contains(words)).map(|(_, tally)| tally.count).sum()
    }

    async fn reasons(&self) -> Vec<String> {
        let letters = self.queue.dead_letters(100).await.unwrap();
        letters.into_iter().rev().map(|letter| letter.reason).collect()
    }
}

async fn try_import(name: &str, bytes: &[u8], platform: &str, columns: &str) -> sources::Result<Imported> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let config = FileConfig {
        platform: platform.into(),
        columns: ColumnMapping::parse(columns).unwrap(),
        ..FileConfig::new(path)
    };
    let queue = Arc::new(MemoryQueue::default());
    let clock = Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap()));
    let report = FileSource::new(config, queue.clone(), clock).run(|_| {}, CancellationToken::new()).await?;
    Ok(Imported { queue, report })
}

async fn import(name: &str, text: &str, platform: &str) -> Imported {
    try_import(name, text.as_bytes(), platform, "").await.unwrap()
}

fn times(posts: &[Post]) -> Vec<String> {
    posts.iter().map(|post| post.occurred_at.format("%F %T").to_string()).collect()
}

#[tokio::test]
async fn rounded_ids_are_refused_and_not_taken_for_one_post() {
    for id in ["1.90112E+18", "1,90112E+18", "1901120000000000000.0"] {
        let row = |n| format!("\"{id}\",2026-10-02 09:0{n},harbour tour {n}\n");
        let imported = import("ids.csv", &format!("id,created_at,text\n{}{}", row(1), row(2)), "x").await;
        assert_eq!((imported.report.summary.rejected, imported.report.summary.stored), (2, 0), "{id}");
        assert!(imported.reasons().await[0].contains("loses digits"));
    }
    let rounded = import("ids.csv", "id,created_at,text\n1901120000000000000,2026-10-02 09:00,tour\n", "x").await;
    assert_eq!(rounded.guessed("rounded"), 1);
    let other = "id,created_at,text,author_id,repost_of\n1,2026-10-02 09:00,tour,8.1E+17,1.9E+18\n";
    let other = import("ids.csv", other, "x").await;
    assert_eq!((other.posts()[0].author.clone(), other.posts()[0].repost_of.clone()), (None, None));
    assert_eq!(other.guessed("lost digits"), 2);
}

#[tokio::test]
async fn a_platform_that_nobody_named_is_told() {
    let row = "id,created_at,text\n1,2026-10-02 09:00,tour\n";
    let assumed = import("a.csv", row, "").await;
    assert_eq!((assumed.posts()[0].platform.as_str(), assumed.guessed("without a platform")), ("x", 1));
    assert_eq!(import("a.csv", row, "reviews").await.guessed("without a platform"), 0);
    let rejected = import("a.csv", "id,created_at,text\n1,then,tour\n", "").await;
    assert_eq!(rejected.queue.dead_letters(1).await.unwrap()[0].platform, "x");
}

#[tokio::test]
async fn dotted_columns_and_nested_authors_are_known() {
    let table = "id,created_at,text,author.username,author.location,author.public_metrics.followers_count,author.description,referenced_tweets.retweeted.id,geo.coordinates.coordinates\n\
        1901,2026-10-02T08:00:00Z,Tram 4 is on time,lea_k,Graz,21,,,\"[15.44, 47.07]\"\n\
        1902,2026-10-02T08:01:00Z,RT @lea_k: Tram 4,olaf,,3,Hi,1900,\n";
    for columns in ["", "username=author.username,lat_lon=geo.coordinates.coordinates"] {
        let imported = try_import("posts.csv", table.as_bytes(), "x", columns).await.unwrap();
        let posts = imported.posts();
        let author = posts[0].author.clone().unwrap();
        assert_eq!((author.username.as_deref(), author.location.as_deref()), (Some("lea_k"), Some("Graz")));
        assert_eq!(author.followers, Some(21));
        assert_eq!(posts[0].coordinates.map(|point| point.lat), Some(47.07), "longitude first");
        assert_eq!(posts[1].repost_of.as_ref().unwrap().as_str(), "x:1900");
        assert_eq!(imported.report.notes.unused["author.description"], 1, "told as unused");
        assert_eq!(read_again(&posts[0]), posts[0], "the payload is enough");
    }
    let json = r#"{"id":7,"text":"Bus 9","date":"2026-10-02T08:00:00+00:00","user":{"screen_name":"ida","followersCount":5,"mood":1}}"#;
    let posts = import("a.jsonl", json, "x").await.posts();
    let author = posts[0].author.clone().unwrap();
    assert_eq!((author.username.as_deref(), author.followers), (Some("ida"), Some(5)));
}

fn read_again(post: &Post) -> Post {
    let origin = Origin {
        source: post.source.clone(),
        platform: post.platform.clone(),
        provenance: Provenance::File,
        received_at: post.received_at,
    };
    let mut parsed = Parsed::default();
    parse(post.payload.as_bytes(), &origin, &mut parsed);
    match parsed.records.remove(0) {
        domain::Record::Post(post) => *post,
        domain::Record::Deletion(_) => panic!("a deletion"),
    }
}

#[tokio::test]
async fn flattened_posts_of_x_keep_author_place_and_the_whole_repost() {
    let long = "The bakery at the north gate has closed, and nobody told the people who queue there at six";
    let lines = format!(
        concat!(
            r#"{{"id":"1901","author_id":"5","created_at":"2026-10-02T08:00:00.000Z","text":"RT @tom_b: The bakery at…","edit_history_tweet_ids":["1901"],"author":{{"id":"5","username":"mia_r","location":"Linz","public_metrics":{{"followers_count":40}}}},"geo":{{"place_id":"p","full_name":"Linz, Austria"}},"referenced_tweets":[{{"type":"retweeted","id":"1900","text":"{0}"}}]}}"#,
            "\n"
        ),
        long
    );
    let posts = import("flat.jsonl", &lines, "x").await.posts();
    let author = posts[0].author.clone().unwrap();
    assert_eq!((author.username.as_deref(), author.location.as_deref()), (Some("mia_r"), Some("Linz")));
    assert_eq!((author.followers, posts[0].place_name.as_deref()), (Some(40), Some("Linz, Austria")));
    assert_eq!(posts[0].text, format!("RT @tom_b: {long}"));
}

#[tokio::test]
async fn the_archive_of_an_account_is_read() {
    let archive = r#"window.YTD.tweets.part0 = [
      {"tweet": {"id_str": "1901", "id": "1901", "created_at": "Fri Oct 02 08:00:00 +0000 2026", "full_text": "Rye &amp; seeds at six", "lang": "en"}},
      {"tweet": {"id_str": "1902", "id": "1902", "created_at": "Fri Oct 02 09:00:00 +0000 2026", "full_text": "@otto Sold out", "lang": "en"}}
    ]"#;
    let imported = import("tweets.js", archive, "x").await;
    let texts: Vec<String> = imported.posts().into_iter().map(|post| post.text).collect();
    assert_eq!(texts, ["Rye & seeds at six", "@otto Sold out"]);
    assert_eq!(imported.posts()[0].id.as_str(), "x:1901");
    assert_eq!(read_again(&imported.posts()[0]), imported.posts()[0]);
}

#[tokio::test]
async fn keys_of_scrapers_are_known_and_others_can_be_named() {
    let line = r#"{"url":"https://x.example/1","date":"2026-10-02T08:00:00+00:00","rawContent":"Queue at the ferry","id":1901,"user":{"username":"bo","location":"Malmö","followersCount":6},"coordinates":{"longitude":13.0,"latitude":55.6},"place":{"fullName":"Malmö"},"viewCount":9}"#;
    let post = import("s.jsonl", line, "x").await.posts().remove(0);
    assert_eq!(
        (post.text.as_str(), post.place_name.as_deref(), post.reach),
        ("Queue at the ferry", Some("Malmö"), Some(9))
    );
    assert_eq!(post.coordinates.map(|point| point.lat), Some(55.6));
    let own = r#"{"nr":1,"worte":"Wait for it","wann":"2026-10-02 08:00","wer":{"name":"eva"}}"#;
    let unknown = import("o.jsonl", own, "shop").await;
    assert!(unknown.reasons().await[0].contains("not known are the keys nr, worte, wann, wer"));
    let mapped = try_import("o.jsonl", own.as_bytes(), "shop", "id=nr,text=worte,created_at=wann,username=wer.name");
    let post = mapped.await.unwrap().posts().remove(0);
    assert_eq!((post.id.as_str(), post.text.as_str()), ("shop:1", "Wait for it"));
    assert_eq!(post.author.clone().unwrap().username.as_deref(), Some("eva"));
    assert_eq!(read_again(&post), post, "without the mapping");
}

#[tokio::test]
async fn a_lone_quotation_mark_swallows_no_rows() {
    let table = "id\tcreated_at\ttext\n1\t2026-10-02 08:00\t\"Never again, said the captain\n2\t2026-10-02 08:01\tThe captain smiled\n3\t2026-10-02 08:02\tThey said \"no\"\n";
    let imported = import("p.tsv", table, "x").await;
    let texts: Vec<String> = imported.posts().into_iter().map(|post| post.text).collect();
    assert_eq!(texts, ["\"Never again, said the captain", "The captain smiled", "They said \"no\""]);
    assert_eq!(imported.guessed("never closed"), 1);
    let quoted = "id,created_at,text\n1,2026-10-02 08:00,\"Two lines,\n2,5 of them\"\n2,2026-10-02 08:01,b\n";
    assert_eq!(import("q.csv", quoted, "x").await.posts()[0].text, "Two lines,\n2,5 of them");
}

#[tokio::test]
async fn a_day_and_a_clock_apart_are_one_moment_and_guesses_are_told() {
    let table = "id,date,time,timezone,text\n1,2026-10-02,09:15:00,+0530,a\n2,2026-10-02,9:05 PM,,b\n3,2026-10-02,21:05,IST,c\n4,2026-10-02,,,d\n";
    let imported = import("t.csv", table, "x").await;
    assert_eq!(
        times(&imported.posts()),
        ["2026-10-02 03:45:00", "2026-10-02 21:05:00", "2026-10-02 21:05:00", "2026-10-02 00:00:00"]
    );
    assert_eq!(imported.guessed("without a time zone"), 1);
    assert_eq!(imported.guessed("no offset"), 1);
    assert_eq!(imported.guessed("without a time:"), 1);
    assert_eq!(read_again(&imported.posts()[0]), imported.posts()[0]);
    let odd = import("t.csv", "id,date,time,text\n1,2026-10-02,evening,a\n", "x").await;
    assert!(odd.reasons().await[0].contains("line 2: the time \"evening\""));
}

#[tokio::test]
async fn what_scripts_write_is_repaired_or_named() {
    let lines = "{\"id\":\"1\",\"created_at\":1790928000.0,\"user_location\":NaN,\"text\":\"Hums\"}\n{\"id\":\"2\",\"created_at\":1790928000,\"text\":\"Thank you \\ud83d\"}\n{'id': '3', 'text': 'a'}\n";
    let imported = import("d.jsonl", lines, "x").await;
    let texts: Vec<String> = imported.posts().into_iter().map(|post| post.text).collect();
    assert_eq!(texts, ["Hums", "Thank you \u{fffd}"]);
    assert_eq!(imported.guessed("NaN or half an emoji"), 2);
    assert!(imported.reasons().await[0].contains("json.dumps"));
    let table = import("d.csv", "id,created_at,text\n1,1790928000.0,loud\n", "shop").await;
    assert_eq!(times(&table.posts()), ["2026-10-02 08:00:00"]);
}

#[tokio::test]
async fn the_fediverse_is_read_as_people_see_it() {
    let status = r#"{"id":"11","created_at":"2026-10-02T08:00:00.000Z","language":"en","url":"https://s.example/@jo/11","content":"<p>New <a href=\"https://s.example/tags/tram\" rel=\"tag\">#<span>tram</span></a> stop!</p><p>Bread &amp; jam</p>","account":{"id":"7","username":"jo","acct":"jo@s.example","followers_count":12},"reblog":null}"#;
    let imported = import("m.jsonl", status, "mastodon").await;
    let post = imported.posts().remove(0);
    assert_eq!(post.text, "New #tram stop!\n\nBread & jam");
    assert_eq!(post.author.clone().unwrap().username.as_deref(), Some("jo@s.example"));
    assert_eq!(imported.guessed("HTML"), 1);
    assert_eq!(read_again(&post), post);
    let sky = r#"{"uri":"at://did:plc:c/app.bsky.feed.post/3x","author":{"did":"did:plc:c","handle":"ana.example"},"text":"Parado outra vez","createdAt":"2026-10-02T08:00:00.000Z","langs":["pt","en"]}
{"uri":"at://did:plc:c/app.bsky.feed.post/3y","author":{"handle":"ana.example"},"record":{"text":"Outra vez","createdAt":"2026-10-02T08:05:00.000Z","langs":["pt"]},"indexedAt":"2026-10-02T08:05:01.000Z"}
{"uri":"at://did:plc:c/app.bsky.feed.post/3z","text":"soon","createdAt":"2033-01-01T00:00:00.000Z"}"#;
    let imported = import("b.jsonl", sky, "bluesky").await;
    let posts = imported.posts();
    assert_eq!(posts[0].id.as_str(), "bluesky:at://did:plc:c/app.bsky.feed.post/3x");
    assert_eq!((posts[0].language_hint.as_deref(), posts[1].text.as_str()), (Some("pt"), "Outra vez"));
    assert!(imported.reasons().await[0].contains("in the future"));
}

#[tokio::test]
async fn entities_of_x_are_characters_once_and_words_of_others_stay() {
    let line = r#"{"data":{"id":"1901","text":"H&amp;M &amp;amp; I &lt;3","created_at":"2026-10-02T08:00:00Z"}}"#;
    assert_eq!(import("x.jsonl", line, "x").await.posts()[0].text, "H&M &amp; I <3");
    let simple = import("x.csv", "id,created_at,text\n1,2026-10-02,AT&amp;T\n", "x").await;
    assert_eq!(simple.posts()[0].text, "AT&T");
    let without_id = "created_at,text\n2026-10-02,AT&amp;T\n";
    let (of_x, of_forum) = (import("x.csv", without_id, "x").await, import("x.csv", without_id, "forum").await);
    let made = |imported: &Imported| imported.posts()[0].id.native_id().to_owned();
    assert_eq!(made(&of_x), made(&of_forum), "ids are made of what was written");
    let other = import("x.csv", "id,created_at,text\n1,2026-10-02,write &amp; for an ampersand\n", "forum").await;
    assert_eq!(other.posts()[0].text, "write &amp; for an ampersand");
}

#[tokio::test]
async fn words_for_nothing_are_nothing() {
    let table = "id,created_at,username,user_location,lang,text\n1,2026-10-02,a,nan,None,nan\n2,2026-10-02,nan,\"Windhoek, NA\",null,b\nnan,2026-10-02,,N/A,-,c\n";
    let posts = import("n.csv", table, "shop").await.posts();
    let location = |post: &Post| post.author.as_ref().and_then(|author| author.location.clone());
    assert_eq!(posts.iter().map(location).collect::<Vec<_>>(), [None, Some("Windhoek, NA".into()), None]);
    assert!(posts.iter().all(|post| post.language_hint.is_none()));
    assert!(posts[0].text == "nan" && posts[2].id.as_str().starts_with("shop:made-"), "a text may be anything");
}

#[tokio::test]
async fn files_that_are_no_text_are_refused_with_what_to_do() {
    let table: [(&str, &[u8], &str); 9] = [
        ("mac.csv", b"id,created_at,text\r1,2026-10-02,a\r", "CR alone"),
        ("a.jsonl.xz", b"\xfd7zXZ\0", "xz -dc"),
        ("a.zip", b"PK\x03\x04\x14\0", "cut off"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
        ("a.bin", b"\0\0\0\0\0\0\0\0\0", "NUL bytes"),
        ("a.xml", b"<?xml version='1.0'?>", "XML"),
        ("a.parquet", b"PAR1\x15\x04", "damaged Parquet"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd\x00\x01", "can't read"),
        ("a.sqlite", b"SQLite format 3\0", "export its table"),
    ];
    for (name, bytes, words) in table {
        let error = try_import(name, bytes, "x", "").await.err().expect(name).to_string();
        assert!(error.contains(words) && error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn extra_keys_do_not_make_a_post_a_message_of_x() {
    let item = |extra: &str| {
        format!(
            "{{\"id\":\"t\",\"created_at\":\"2026-10-02T08:00:00Z\",\"username\":\"abe\",\"text\":\"strap\",{extra}}}"
        )
    };
    for extra in
        ["\"data\":{}", "\"errors\":[]", "\"public_metrics\":{\"like_count\":4}", "\"includes\":null,\"title\":\"My\""]
    {
        let posts = import("t.jsonl", &item(extra), "threads").await.posts();
        assert_eq!(posts[0].id.as_str(), "threads:t", "{extra}");
        assert_eq!(posts[0].author.clone().unwrap().username.as_deref(), Some("abe"));
    }
    let refused = import("t.jsonl", "{\"errors\":[{\"title\":\"gone\"}],\"detail\":\"kept whole\"}", "x").await;
    assert!(refused.queue.dead_letters(1).await.unwrap()[0].payload.contains("kept whole"));
}

#[tokio::test]
async fn a_rejected_row_is_replayed_as_what_it_was() {
    let table = b"Nr;Wann;Text;Sterne\n1;02/10/2026;late;4\n2;2026-10-02;too;many;5\n3;2026-10-02;bad \xff;5\n";
    let imported = try_import("r.csv", table, "shop", "id=Nr,created_at=Wann").await.unwrap();
    let letters = imported.queue.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 3);
    for letter in letters {
        let origin = Origin {
            source: SourceId(letter.source.clone()),
            platform: letter.platform.clone(),
            provenance: Provenance::File,
            received_at: letter.occurred_at,
        };
        let mut parsed = Parsed::default();
        parse(letter.payload.as_bytes(), &origin, &mut parsed);
        assert!(parsed.records.is_empty());
        assert!(letter.reason.ends_with(&parsed.rejections[0].reason), "{} / {:?}", letter.reason, parsed.rejections);
    }
    let letter = &imported.queue.dead_letters(10).await.unwrap()[2];
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&letter.payload).unwrap(),
        serde_json::json!({"id": "1", "created_at": "02/10/2026", "text": "late", "columns": {"Sterne": "4"}})
    );
}

#[tokio::test]
async fn reasons_are_counted_by_kind_and_a_check_stores_nothing() {
    let rows: String = (10..30).map(|n| format!("{n},{n}/10/2026,words {n}\n")).collect();
    let imported = import("k.csv", &format!("id,date,text\n{rows}"), "x").await;
    let kinds = &imported.report.notes.rejected;
    assert_eq!((kinds.len(), kinds.values().next().unwrap().count), (1, 20), "{kinds:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.csv");
    std::fs::write(&path, "id,date,text,mood\n1,2026-10-02,a,fine\n2,never,b,\n").unwrap();
    let queue = Arc::new(MemoryQueue::default());
    let clock = Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap()));
    let report = FileSource::new(FileConfig::new(path), queue.clone(), clock).check().await.unwrap();
    assert_eq!((report.summary.read, report.summary.rejected, report.notes.unused["mood"]), (2, 1, 1));
    assert!(queue.posts().is_empty() && queue.dead_letters(1).await.unwrap().is_empty());
}
