//! Random and broken input: no panic, nothing dropped without a word, and what is kept can be rebuilt from its payload.

use chrono::{TimeZone, Utc};
use domain::{ManualClock, Provenance, Record, SourceId};
use proptest::prelude::*;
use sources::formats::parse_any as parse;
use sources::record::{Origin, Parsed};
use sources::{FileConfig, FileSource};
use std::sync::Arc;
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

/// Records of every form, to be broken.
const RECORDS: [&str; 7] = [
    r#"{"id":"1","text":"a b","created_at":"2026-10-01T00:00:00Z","username":"u","lat_lon":[1.5,2.5],"lang":["pt"],"replaces":["0"]}"#,
    r#"{"data":{"id":"5","text":"RT @b: c…","author_id":"7","created_at":"2026-10-01T00:00:00.000Z","referenced_tweets":[{"type":"retweeted","id":"4"}]},"includes":{"users":[{"id":"7","username":"u"}],"tweets":[{"id":"4","text":"whole"}]},"matching_rules":[{"tag":"overheard:t"}]}"#,
    r#"{"data":[{"id":"5","text":"c","created_at":"2026-10-01T00:00:00.000Z"},{"id":"6","text":"d"}],"includes":{"users":[]},"meta":{"result_count":2}}"#,
    r#"{"data":{"delete":{"tweet":{"id":"7"}}}}"#,
    r#"{"tweet":{"id_str":"9","full_text":"x &amp; y","created_at":"Fri Oct 02 08:00:00 +0000 2026"}}"#,
    r#"{"uri":"at://a/b","record":{"text":"<p>h</p>","createdAt":1790928000.5},"author":{"handle":"h"},"place":{"fullName":"P"},"geo":{"type":"Point","coordinates":[1,2]}}"#,
    r#"{"header":["id","text","date"],"row":["1","t"]}"#,
];
const TABLE: &str = "id,Created At,time,text,author.username,mood\n1,2026-10-01,09:00,\"a, \"\"b\"\"\nc\",u,x\n2,2026-10-01 10:00,,d,,\n";

/// Pieces that mean something to some parser.
const PIECES: [&str; 22] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\u",
    "\\ud83d",
    "NaN",
    "null",
    "1e400",
    "-1",
    "\n",
    "\r",
    "&amp;",
    "<p>",
    "\u{feff}",
    "\u{0}",
    "1.8E+18",
    "2026-10-01",
    "99999999999999999999",
];

/// One change: at a place (of 1000), take so many bytes away and put a piece in.
fn broken(text: &str, changes: &[(usize, usize, usize)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (place, taken, piece) in changes {
        let at = place * bytes.len() / 1_000;
        let end = (at + taken).min(bytes.len());
        let piece = PIECES.get(*piece).map_or(&b"\xff"[..], |piece| piece.as_bytes());
        bytes.splice(at..end, piece.iter().copied());
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..1_000_usize, 0..6_usize, 0..PIECES.len() + 1), 0..6)
}

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

/// Each kept post is the same when it is read again from its payload; rejections have a reason and do not grow.
fn check(parsed: &Parsed, bytes: usize) {
    for record in &parsed.records {
        let Record::Post(post) = record else { continue };
        let mut again = Parsed::default();
        sources::formats::parse(post.payload_format.as_deref(), post.payload.as_bytes(), &origin(), &mut again);
        // Names of rules stand beside the post in a message of its own, not in a page.
        let same = again.records.iter().any(|other| matches!(other, Record::Post(other) if other == post));
        assert!(same, "{post:?}\nagain: {again:?}");
    }
    for rejection in &parsed.rejections {
        assert!(!rejection.reason.is_empty() && rejection.reason.len() < 3_000);
        assert!(rejection.payload.len() <= bytes * 3 + 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn broken_records_are_kept_or_rejected(which in 0..RECORDS.len(), changes in changes()) {
        let bytes = broken(RECORDS[which], &changes);
        let parsed = read(&bytes);
        // A page of X may be empty; nothing else may vanish.
        let page = RECORDS[which].contains("\"data\"");
        prop_assert!(page || parsed.records.len() + parsed.rejections.len() == 1, "{}", String::from_utf8_lossy(&bytes));
        check(&parsed, bytes.len());
    }

    #[test]
    fn random_bytes_are_kept_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parsed = read(&bytes);
        prop_assert_eq!(parsed.records.len() + parsed.rejections.len(), 1);
        check(&parsed, bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn broken_files_are_read_to_their_end(which in 0..3_usize, changes in changes()) {
        let (name, text) = [("t.csv", TABLE.to_owned()), ("l.jsonl", RECORDS.join("\n")), ("a.json", format!("[{}]", RECORDS.join(",")))][which].clone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut bytes = broken(&text, &changes);
        let mark = format!("\n{}\n", if which == 0 { "77,2026-10-02 10:00,,the last,," } else { r#"{"id":"77","text":"the last","created_at":"2026-10-02"}"# });
        bytes.extend_from_slice(mark.as_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let queue = Arc::new(MemoryQueue::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let clock = Arc::new(ManualClock::at(origin().received_at));
        let done = runtime.block_on(FileSource::new(FileConfig::new(path), queue.clone(), clock).run(|_| {}, CancellationToken::new()));
        if let Ok(report) = done {
            let summary = report.summary;
            prop_assert_eq!(summary.read, summary.stored + summary.duplicates + summary.deleted + summary.rejected);
            prop_assert_eq!(report.notes.rejected.values().map(|tally| tally.count).sum::<u64>(), summary.rejected);
        }
    }
}
