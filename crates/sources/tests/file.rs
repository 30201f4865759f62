//! Files of every form into a queue: counts, repeats, bad lines, wrong delimiters, event time.

use chrono::{TimeDelta, TimeZone, Utc};
use domain::{ManualClock, PostQueue, Timestamp, WorkQueue};
use sources::file::{Pace, Report, Summary};
use sources::record::ColumnMapping;
use sources::{FileConfig, FileSource};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap()
}

async fn report(config: FileConfig, queue: &Arc<MemoryQueue>) -> sources::Result<Report> {
    let clock = Arc::new(ManualClock::at(now()));
    FileSource::new(config, queue.clone(), clock).run(|_| {}, CancellationToken::new()).await
}

async fn import(config: FileConfig, queue: &Arc<MemoryQueue>) -> sources::Result<Summary> {
    report(config, queue).await.map(|report| report.summary)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> FileConfig {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    FileConfig::new(path)
}

fn line(n: usize) -> String {
    format!(
        "{{\"id\":\"{n}\",\"text\":\"text {n}\",\"created_at\":\"2026-10-01T00:{:02}:{:02}Z\"}}\n",
        n / 60 % 60,
        n % 60
    )
}

#[tokio::test]
async fn every_form_gives_the_same_posts() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..100).map(line).collect();
    let array = format!("[{}]", lines.trim().replace('\n', ",\n  "));
    let pretty: String = lines
        .lines()
        .map(|line| {
            serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(line).unwrap()).unwrap() + "\n"
        })
        .collect();
    let table: String = std::iter::once("ID;Created At;Text;Mood\n".to_owned())
        .chain((0..100).map(|n| format!("{n};2026-10-01 00:{:02}:{:02};\"text {n}\";fine\n", n / 60, n % 60)))
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let forms = [
        ("a.jsonl", lines.clone().into_bytes()),
        ("a.json", array.into_bytes()),
        ("pretty.json", pretty.into_bytes()),
        ("a.csv", table.into_bytes()),
        ("a.jsonl.gz", gzip.finish().unwrap()),
        ("bom.jsonl", [b"\xef\xbb\xbf".to_vec(), lines.replace('\n', "\r\n\r\n").into_bytes()].concat()),
        ("nameless", lines.into_bytes()),
    ];
    for (name, bytes) in forms {
        let queue = Arc::new(MemoryQueue::default());
        let config = write(folder.path(), name, &bytes);
        let summary = import(config.clone(), &queue).await.unwrap();
        assert_eq!(summary, Summary { read: 100, stored: 100, ..Summary::default() }, "{name}");
        let texts: Vec<String> = queue.posts().into_iter().map(|post| post.text).collect();
        assert_eq!(texts, (0..100).map(|n| format!("text {n}")).collect::<Vec<_>>(), "{name}, in order");
        let again = import(config, &queue).await.unwrap();
        assert_eq!(again, Summary { read: 100, duplicates: 100, ..Summary::default() }, "{name} again adds nothing");
    }
}

#[tokio::test]
async fn bad_lines_go_to_the_dead_letters_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = line(1).into_bytes();
    bytes.extend_from_slice(
        b"{\"id\": 2, \"text\": \n\xff\xfe\n\n{\"id\":\"3\",\"text\":\"\",\"created_at\":\"2026-10-01\"}\n",
    );
    bytes.extend_from_slice(&[b"{\"id\":\"4\",\"text\":\"".to_vec(), vec![b'a'; 9 << 20], b"\"}\n".to_vec()].concat());
    bytes.extend_from_slice(line(1).as_bytes());
    bytes.extend_from_slice(line(5).trim().as_bytes());
    let queue = Arc::new(MemoryQueue::default());
    let summary = import(write(folder.path(), "bad.jsonl", &bytes), &queue).await.unwrap();
    assert_eq!(summary, Summary { read: 7, stored: 2, duplicates: 1, deleted: 0, rejected: 4 });
    let letters = queue.dead_letters(10).await.unwrap();
    let reasons: Vec<&str> = letters.iter().rev().map(|letter| letter.reason.as_str()).collect();
    for (reason, part) in reasons.iter().zip(["malformed JSON", "invalid UTF-8", "text is empty", "at most 8388608"]) {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(letters[0].source, "file:bad.jsonl");
}

#[tokio::test]
async fn a_broken_array_loses_only_what_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[{}, 7, \"}}{{\", {}, {{\"id\": }}, {}", line(1).trim(), line(2).trim(), line(3).trim());
    let queue = Arc::new(MemoryQueue::default());
    let summary = import(write(folder.path(), "broken.json", text.as_bytes()), &queue).await.unwrap();
    assert_eq!((summary.stored, summary.rejected), (3, 3), "a number, a text and an object without a value");
}

#[tokio::test]
async fn a_table_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Arc::new(MemoryQueue::default());
    let semicolons = b"id;text;created_at\n1;a;2026-10-01\n";
    let mut wrong = write(folder.path(), "wrong.csv", semicolons);
    wrong.delimiter = Some(b',');
    let error = import(wrong, &queue).await.unwrap_err().to_string();
    assert!(error.contains("delimiter were ';'"), "{error}");
    let named =
        write(folder.path(), "named.csv", b"Words,Posted,Stars\ngreat,2026-10-01,5\nshort\n\xff,2026-10-01,1\n");
    let error = import(named.clone(), &queue).await.unwrap_err().to_string();
    assert!(error.contains("hold the text") && error.contains("\"Words\""), "{error}");
    let mut mapped = named.clone();
    mapped.columns = ColumnMapping::parse("text=words, created_at=Posted").unwrap();
    let summary = import(mapped.clone(), &queue).await.unwrap();
    assert_eq!((summary.stored, summary.rejected), (1, 2));
    let post = &queue.posts()[0];
    let payload: serde_json::Value = serde_json::from_str(&post.payload).unwrap();
    assert_eq!(payload, serde_json::json!({"text": "great", "created_at": "2026-10-01", "columns": {"Stars": "5"}}));
    mapped.columns = ColumnMapping::parse("text=nothing").unwrap();
    assert!(import(mapped, &queue).await.unwrap_err().to_string().contains("no column \"nothing\""));
    assert!(ColumnMapping::parse("mood=Stars").unwrap_err().to_string().contains("no field \"mood\""));
    let missing = import(FileConfig::new(folder.path().join("none.jsonl")), &queue).await.unwrap_err();
    assert!(missing.to_string().contains("none.jsonl"), "{missing}");
    let utf16 = write(folder.path(), "utf16.csv", b"\xff\xfei\0d\0");
    let error = import(utf16, &queue).await.unwrap_err().to_string();
    assert!(error.contains("the header has \"id\""), "{error}");
}

#[tokio::test]
async fn a_full_queue_makes_the_file_wait() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..9_000).map(line).collect();
    let config = write(folder.path(), "many.jsonl", text.as_bytes());
    let queue = Arc::new(MemoryQueue::with_capacity(5_000));
    let reader = tokio::spawn({
        let queue = queue.clone();
        async move {
            let mut taken = 0;
            while taken < 9_000 {
                queue.wait(std::time::Duration::from_secs(5)).await;
                if let Some(lease) = queue.lease(1_000, std::time::Duration::from_secs(60)).await.unwrap() {
                    taken += lease.records.len();
                    queue.ack(lease.id).await.unwrap();
                }
            }
            taken
        }
    });
    assert_eq!(import(config, &queue).await.unwrap().stored, 9_000);
    assert_eq!(reader.await.unwrap(), 9_000);
}

#[tokio::test]
async fn event_time_runs_as_fast_as_asked_and_dates_move_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    // A post a second for two minutes: at 600x that takes a fifth of a second.
    let text: String = (0..120).map(line).collect();
    for shifted in [false, true] {
        let mut config = write(folder.path(), "timed.jsonl", text.as_bytes());
        config.pace = "600x".parse().unwrap();
        config.shift_to_now = shifted;
        let queue = Arc::new(MemoryQueue::default());
        let begin = std::time::Instant::now();
        import(config, &queue).await.unwrap();
        assert!(
            begin.elapsed().as_millis() >= 140,
            "the last post is due after 198 ms, and goes with those 50 ms before"
        );
        let posts = queue.posts();
        assert_eq!(posts.len(), 120);
        let span = (posts[119].occurred_at - posts[0].occurred_at).num_milliseconds();
        let first = posts[0].occurred_at;
        if shifted {
            assert_eq!((first, span), (now(), 198), "the first is written now, the others after it at the pace");
        } else {
            assert_eq!((span, first.format("%F").to_string().as_str()), (119_000, "2026-10-01"));
        }
    }
}

#[tokio::test]
async fn as_fast_as_possible_the_newest_post_is_shifted_to_now() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..120).map(line).collect();
    let mut config = write(folder.path(), "old.jsonl", text.as_bytes());
    config.shift_to_now = true;
    let queue = Arc::new(MemoryQueue::default());
    import(config, &queue).await.unwrap();
    let posts = queue.posts();
    assert_eq!(posts[119].occurred_at, now());
    assert_eq!(posts[0].occurred_at, now() - TimeDelta::seconds(119));
    let mut stdin = FileConfig::new("-");
    stdin.shift_to_now = true;
    assert!(import(stdin, &queue).await.unwrap_err().to_string().contains("standard input"));
}

#[tokio::test]
async fn a_stop_ends_the_import_with_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..120).map(line).collect();
    let mut config = write(folder.path(), "slow.jsonl", text.as_bytes());
    config.pace = Pace::Speed(0.001);
    let queue = Arc::new(MemoryQueue::default());
    let shutdown = CancellationToken::new();
    let source = FileSource::new(config, queue.clone(), Arc::new(ManualClock::at(now())));
    let running = tokio::spawn(source.run(|_| {}, shutdown.clone()));
    while queue.posts().is_empty() {
        queue.wait(std::time::Duration::from_millis(50)).await;
    }
    shutdown.cancel();
    assert!(matches!(running.await.unwrap(), Err(sources::Error::Stopped)));
    assert_eq!(queue.posts().len(), 1);
}

#[tokio::test]
async fn progress_reaches_the_size_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..10_000).map(line).collect();
    let config = write(folder.path(), "big.jsonl", text.as_bytes());
    let queue = Arc::new(MemoryQueue::default());
    let mut seen = Vec::new();
    let source = FileSource::new(config, queue, Arc::new(ManualClock::at(now())));
    source.run(|progress| seen.push(progress.clone()), CancellationToken::new()).await.unwrap();
    assert!(seen.len() >= 3 && seen.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes));
    let last = seen.last().unwrap();
    assert_eq!((last.bytes, last.bytes_total), (text.len() as u64, Some(text.len() as u64)));
    assert_eq!(last.summary.stored, 10_000);
}

#[test]
fn speeds_are_read_with_or_without_their_sign() {
    assert_eq!("60x".parse::<Pace>().unwrap(), Pace::Speed(60.0));
    assert_eq!("0.5".parse::<Pace>().unwrap(), Pace::Speed(0.5));
    for bad in ["", "x", "0x", "-1", "NaN", "inf"] {
        assert!(bad.parse::<Pace>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn the_airline_posts_are_imported_once() {
    let data = std::env::var("OVERHEARD_DATA")
        .unwrap_or_else(|_| format!("{}/../../../shared/data", env!("CARGO_MANIFEST_DIR")));
    let path = Path::new(&data).join("airline/tweets.jsonl");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let queue = Arc::new(MemoryQueue::default());
    let summary = import(FileConfig::new(&path), &queue).await.unwrap();
    assert_eq!(summary, Summary { read: 14_485, stored: 14_485, ..Summary::default() });
    let again = import(FileConfig::new(&path), &queue).await.unwrap();
    assert_eq!((again.stored, again.duplicates), (0, 14_485));
    let posts = queue.posts();
    assert_eq!(
        posts.iter().filter(|post| post.author.as_ref().is_some_and(|author| author.location.is_some())).count(),
        9_798
    );
    assert!(posts.iter().filter(|post| post.coordinates.is_some()).count() > 600);
    assert!(posts.iter().all(|post| post.platform == "x"));
}
