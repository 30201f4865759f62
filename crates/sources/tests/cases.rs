//! Files as people brought them to other tools: the bundled cases that concern files and payloads, where the folder is
//! there (`OVERHEARD_CASES`). Skipped otherwise; the kinds of these cases are tested in `imports` and `formats` as well.

use chrono::{TimeZone, Utc};
use domain::{ManualClock, Post, PostQueue, SourceId};
use sources::file::Report;
use sources::push::{Rights, Status};
use sources::record::ColumnMapping;
use sources::{FileConfig, FileSource, PushSource};
use std::path::PathBuf;
use std::sync::Arc;
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

fn folder(number: &str) -> Option<PathBuf> {
    let cases = std::env::var("OVERHEARD_CASES")
        .unwrap_or_else(|_| format!("{}/../../../shared/cases", env!("CARGO_MANIFEST_DIR")));
    let Ok(entries) = std::fs::read_dir(&cases) else {
        println!("skipped: {cases} is not there");
        return None;
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{number}-"))))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 28, 12, 0, 0).unwrap()))
}

/// The posts of a file of a case, or the error; with what was told.
async fn import(path: PathBuf, platform: &str, columns: &str) -> sources::Result<(Vec<Post>, Report, Vec<String>)> {
    let queue = Arc::new(MemoryQueue::default());
    let config = FileConfig {
        platform: platform.into(),
        columns: ColumnMapping::parse(columns).unwrap(),
        ..FileConfig::new(path)
    };
    let report = FileSource::new(config, queue.clone(), clock()).run(|_| {}, CancellationToken::new()).await?;
    let reasons = queue.dead_letters(100).await.unwrap().into_iter().map(|letter| letter.reason).collect();
    Ok((queue.posts(), report, reasons))
}

fn author(post: &Post) -> (Option<String>, Option<String>, Option<u64>) {
    let author = post.author.clone().unwrap_or_default();
    (author.username, author.location, author.followers)
}

#[tokio::test]
async fn ids_that_a_spreadsheet_rounded_are_refused() {
    let Some(folder) = folder("01") else { return };
    for file in ["ids.csv", "posts.jsonl"] {
        let (posts, report, reasons) = import(folder.join(file), "x", "").await.unwrap();
        assert!(posts.is_empty() && report.summary.rejected > 0, "{file}");
        assert!(reasons.iter().all(|reason| reason.contains("loses digits")), "{file}: {reasons:?}");
    }
}

#[tokio::test]
async fn posts_of_x_in_every_form_keep_author_place_and_the_whole_text() {
    let Some(pages) = folder("03") else { return };
    let (posts, report, _) = import(pages.join("search.jsonl"), "", "").await.unwrap();
    assert_eq!((report.summary.stored, report.summary.rejected), (2, 0));
    let all = format!("{:?}", posts.iter().map(author).collect::<Vec<_>>());
    assert!(all.contains("otto_n") && all.contains("88") && all.contains("ines_p") && all.contains("1200"), "{all}");
    let repost = posts.iter().find(|post| post.repost_of.is_some()).unwrap();
    assert!(repost.text.starts_with("RT @velo_lena: ") && repost.text.ends_with("Well done everybody."));
    assert!(posts.iter().any(|post| post.text.ends_with("Thank you, line 4!")));
    let (posts, ..) = import(folder("04").unwrap().join("flat.jsonl"), "", "").await.unwrap();
    assert_eq!(posts.len(), 2);
    assert!(posts.iter().all(|post| author(post) == (Some("rita_w".into()), Some("Bregenz".into()), Some(450))));
    assert!(posts[0].text.ends_with("Peinlich."), "{}", posts[0].text);
    assert_eq!(posts[1].place_name.as_deref(), Some("Bregenz, Österreich"));
    let (posts, ..) = import(folder("05").unwrap().join("posts.csv"), "x", "").await.unwrap();
    assert!(posts.iter().any(|post| post.repost_of.as_ref().is_some_and(|id| id.as_str() == "x:1893119000000000001")));
    let point = posts.iter().find_map(|post| post.coordinates).unwrap();
    assert_eq!((point.lat, point.lon), (52.5, 13.4));
    let (posts, ..) = import(folder("07").unwrap().join("tweets.js"), "x", "").await.unwrap();
    assert_eq!(posts.len(), 2);
    assert!(posts[0].text.contains("& there is rye bread"), "{}", posts[0].text);
    let (posts, ..) = import(folder("08").unwrap().join("scraped.jsonl"), "x", "").await.unwrap();
    assert_eq!((posts.len(), author(&posts[0]).2), (2, Some(64)));
    let (posts, report, _) = import(folder("23").unwrap().join("edits.jsonl"), "", "").await.unwrap();
    assert!(report.summary.rejected == 0 && posts.iter().any(|post| !post.replaces.is_empty()));
}

#[tokio::test]
async fn tables_as_programs_write_them() {
    let Some(quote) = folder("10") else { return };
    let (posts, ..) = import(quote.join("posts.tsv"), "x", "").await.unwrap();
    assert_eq!(posts.len(), 4);
    assert!(posts[0].text.starts_with('"') && !posts[0].text.contains('\t'));
    let (posts, ..) = import(folder("15").unwrap().join("apart.csv"), "x", "").await.unwrap();
    let times: Vec<String> = posts.iter().map(|post| post.occurred_at.format("%R").to_string()).collect();
    assert_eq!(times, ["03:45", "09:10", "15:35"], "by the zone's column");
    let columns = "id=tweet_id,created_at=tweet_created,username=name,user_location=tweet_location,lat_lon=tweet_coord";
    let (posts, report, _) = import(folder("24").unwrap().join("airline.csv"), "", columns).await.unwrap();
    assert_eq!((report.summary.read, report.summary.stored, report.summary.duplicates), (3, 2, 1));
    assert_eq!(posts[0].occurred_at.to_rfc3339(), "2026-03-03T00:20:07+00:00");
    assert_eq!(posts.iter().filter(|post| post.coordinates.is_some()).count(), 1);
    let (posts, ..) = import(folder("39").unwrap().join("posts.csv"), "", "").await.unwrap();
    assert_eq!(posts.iter().filter(|post| author(post).1.is_some()).count(), 1, "nan and None are no places");
    let (_, report, reasons) = import(folder("55").unwrap().join("rows.csv"), "reviews", "").await.unwrap();
    assert_eq!((report.summary.stored, report.summary.rejected), (1, 2));
    assert!(reasons.iter().any(|reason| reason.contains("is not a date")), "{reasons:?}");
}

#[tokio::test]
async fn encodings_packings_and_what_scripts_write() {
    let Some(windows) = folder("12") else { return };
    for (file, platform) in [("posts.jsonl", ""), ("nomark.csv", "reviews")] {
        let (posts, ..) = import(windows.join(file), platform, "").await.unwrap();
        assert!(posts.len() == 1 && !posts[0].text.contains('\0'), "{file}");
    }
    let packed = folder("13").unwrap();
    for file in ["posts.jsonl.zst", "posts.jsonl.bz2", "posts.zip"] {
        assert_eq!(import(packed.join(file), "", "").await.unwrap().0.len(), 2, "{file}");
    }
    let (posts, ..) = import(packed.join("forum.jsonl"), "forum", "").await.unwrap();
    assert_eq!(posts[0].text, "Halvorsen support replaced the lid");
    let scripts = folder("17").unwrap();
    for (file, platform) in [("dump.jsonl", ""), ("table.csv", "reviews")] {
        let (posts, _, reasons) = import(scripts.join(file), platform, "").await.unwrap();
        assert!(!posts.is_empty() && reasons.is_empty(), "{file}: {reasons:?}");
    }
    let (posts, ..) = import(folder("18").unwrap().join("statuses.jsonl"), "mastodon", "").await.unwrap();
    assert_eq!(posts[0].text, "The new #bikelane on Quay Street is great!\n\nThanks & well done");
    assert_eq!(author(&posts[0]).0.as_deref(), Some("petra@social.example"));
    let (posts, _, reasons) = import(folder("19").unwrap().join("bsky.jsonl"), "bluesky", "").await.unwrap();
    assert_eq!(posts[0].id.as_str(), "bluesky:at://did:plc:aaaa/app.bsky.feed.post/3k1");
    assert!(reasons[0].contains("in the future"), "{reasons:?}");
}

#[tokio::test]
async fn pushed_posts_may_have_keys_of_their_own() {
    let Some(folder) = folder("22") else { return };
    let queue = Arc::new(MemoryQueue::default());
    let source = PushSource::new(queue.clone(), clock(), Rights::of("threads"));
    let body = std::fs::read(folder.join("push.json")).unwrap();
    let outcomes = source.accept(&body, None, &SourceId("push:reviews".into())).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.status == Status::Stored), "{outcomes:?}");
    let ids: Vec<String> = queue.posts().iter().map(|post| post.id.to_string()).collect();
    assert_eq!(ids, ["threads:t-1", "threads:t-2", "threads:t-3", "threads:t-4"]);
}
