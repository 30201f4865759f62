//! Every format that an import reads, with what it is recognised as: the table of docs/importing.md.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray, TimestampMillisecondArray};
use chrono::{TimeZone, Utc};
use domain::{ManualClock, Post, PostQueue, Provenance};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use parquet::arrow::ArrowWriter;
use sources::file::Report;
use sources::formats::parse;
use sources::record::{ColumnMapping, Origin, Parsed};
use sources::{FileConfig, FileSource};
use std::io::Write;
use std::sync::Arc;
use testkit::MemoryQueue;
use tokio_util::sync::CancellationToken;

struct Imported {
    queue: Arc<MemoryQueue>,
    report: Report,
    recognised: Vec<String>,
}

impl Imported {
    /// The posts as `id author: text`.
    fn shown(&self) -> Vec<String> {
        let posts = self.queue.posts();
        let author = |post: &Post| post.author.clone().and_then(|author| author.username).unwrap_or_default();
        posts.iter().map(|post| format!("{} {}: {}", post.id, author(post), post.text)).collect()
    }
}

async fn import_with(name: &str, bytes: &[u8], change: impl FnOnce(&mut FileConfig)) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut config = FileConfig { platform: "shop".into(), ..FileConfig::new(path) };
    change(&mut config);
    let queue = Arc::new(MemoryQueue::default());
    let clock = Arc::new(ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap()));
    let mut recognised = Vec::new();
    let source = FileSource::new(config, queue.clone(), clock);
    let report = source.run(|progress| recognised.extend(progress.recognised.clone()), CancellationToken::new()).await;
    recognised.dedup();
    let folder = folder.path().display().to_string();
    let recognised = recognised.into_iter().map(|words| words.replace(&format!("{folder}/"), "")).collect();
    Imported { queue, report: report.unwrap(), recognised }
}

async fn import(name: &str, bytes: &[u8]) -> Imported {
    import_with(name, bytes, |_| {}).await
}

/// Imports, and looks at what was recognised and read. What is kept must be enough to read each post again.
async fn check(name: &str, bytes: &[u8], recognised: &str, posts: &[&str]) {
    let imported = import(name, bytes).await;
    assert_eq!(imported.recognised, [recognised], "{name}");
    assert_eq!(imported.shown(), posts, "{name} {:?}", imported.queue.dead_letters(9).await.unwrap());
    assert!(imported.report.broken.is_empty(), "{:?}", imported.report.broken);
    for post in imported.queue.posts() {
        let origin = Origin {
            source: post.source.clone(),
            platform: post.platform.clone(),
            provenance: Provenance::File,
            received_at: post.received_at,
        };
        let mut parsed = Parsed::default();
        parse(post.payload_format.as_deref(), post.payload.as_bytes(), &origin, &mut parsed);
        assert_eq!(parsed.records, [domain::Record::Post(Box::new(post))], "{name}");
    }
}

const TABLE: &str =
    "id,created_at,username,text\n1,2026-10-02T08:00:00Z,eva,Grüße aus Köln 🚆\n2,2026-10-02T08:01:00Z,bo,late\n";
const OF_TABLE: [&str; 2] = ["shop:1 eva: Grüße aus Köln 🚆", "shop:2 bo: late"];
const WORDS: &str = "CSV, 4 columns, separator ','";

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn packed(text: &str, by: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    match by {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        _ => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// A zip archive; every second file is deflated.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut list) = (Vec::new(), Vec::new());
    for (number, (name, bytes)) in files.iter().enumerate() {
        let method = if number % 2 == 0 { 8_u16 } else { 0 };
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        let data = if method == 8 { encoder.finish().unwrap() } else { bytes.to_vec() };
        let offset = archive.len() as u32;
        let mut head = Vec::new();
        head.extend([20, 0, 0, 0]);
        head.extend(method.to_le_bytes());
        head.extend([0; 8]);
        head.extend((data.len() as u32).to_le_bytes());
        head.extend((bytes.len() as u32).to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(name.as_bytes());
        archive.extend(data);
        list.extend(b"PK\x01\x02\x14\0");
        list.extend(head);
        list.extend([0; 10]);
        list.extend(offset.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (count, at) = (files.len() as u16, archive.len() as u32);
    archive.extend(&list);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend((list.len() as u32).to_le_bytes());
    archive.extend(at.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

#[tokio::test]
async fn tables_in_every_encoding_and_packing() {
    check("a.csv", TABLE.as_bytes(), &format!("a.csv: {WORDS}"), &OF_TABLE).await;
    check("a.csv", format!("\u{feff}{TABLE}").as_bytes(), &format!("a.csv: {WORDS}"), &OF_TABLE).await;
    check("a.csv", &utf_16(&format!("\u{feff}{TABLE}")), &format!("a.csv: {WORDS}, UTF-16"), &OF_TABLE).await;
    check("a.csv", &utf_16(TABLE), &format!("a.csv: {WORDS}, UTF-16"), &OF_TABLE).await;
    for by in ["gzip", "zstd", "bzip2"] {
        check("a", &packed(TABLE, by), &format!("a: {WORDS}, {by}"), &OF_TABLE).await;
    }
    let tabs = TABLE.replace(',', "\t");
    check("a.tsv", tabs.as_bytes(), "a.tsv: CSV, 4 columns, separator tab", &OF_TABLE).await;
    let excel = format!("sep=;\r\n{}", TABLE.replace(',', ";"));
    check("a.csv", excel.as_bytes(), "a.csv: CSV, 4 columns, separator ';'", &OF_TABLE).await;
}

#[tokio::test]
async fn latin_1_is_read_and_told() {
    let table: Vec<u8> = TABLE.replace("🚆", "").chars().map(|letter| letter as u8).collect();
    let imported = import("a.csv", &table).await;
    assert_eq!(imported.shown()[0], "shop:1 eva: Grüße aus Köln ");
    assert!(imported.report.lines().iter().any(|line| line.contains("Latin-1")), "{:?}", imported.report);
}

#[tokio::test]
async fn posts_of_x_in_the_forms_of_its_interfaces_and_collectors() {
    let pages = r#"{"data":[{"id":"1901","text":"on time","author_id":"5","created_at":"2026-10-02T08:00:00Z"}],"includes":{"users":[{"id":"5","username":"mia"}]},"meta":{"result_count":1}}
"#;
    check("p.jsonl", pages.as_bytes(), "p.jsonl: JSON lines: pages of X's API v2", &["x:1901 mia: on time"]).await;
    let archive = r#"window.YTD.tweets.part0 = [ {"tweet": {"id_str":"1901","id":"1901","created_at":"Fri Oct 02 08:00:00 +0000 2026","full_text":"Rye &amp; seeds"}} ]"#;
    let imported = import_with("tweets.js", archive.as_bytes(), |config| config.platform = "x".into()).await;
    assert_eq!(imported.recognised, ["tweets.js: JSON, of an archive of X: posts of X"]);
    assert_eq!(imported.shown(), ["x:1901 : Rye & seeds"]);
    let old = r#"{"created_at":"Fri Oct 02 08:00:00 +0000 2026","id":1901,"id_str":"1901","text":"RT @bo_l: the ferry is la…","user":{"id":5,"id_str":"5","screen_name":"mia","location":"Graz","followers_count":7},"is_quote_status":false,"coordinates":{"type":"Point","coordinates":[15.4,47.0]},"retweeted_status":{"id_str":"1900","text":"the ferry…","extended_tweet":{"full_text":"the ferry is late again and nobody tells us"},"user":{"screen_name":"bo_l"}}}
{"created_at":"Fri Oct 02 08:01:00 +0000 2026","id_str":"1902","full_text":"fine &lt;3","truncated":false,"user":{"id_str":"6","screen_name":"bo"},"coordinates":null}
"#;
    let posts = ["x:1901 mia: RT @bo_l: the ferry is late again and nobody tells us", "x:1902 bo: fine <3"];
    check("old.jsonl", old.as_bytes(), "old.jsonl: JSON lines: posts of X's API v1.1", &posts).await;
    let post = import("old.jsonl", old.as_bytes()).await.queue.posts().remove(0);
    assert_eq!(post.repost_of.unwrap().as_str(), "x:1900");
    assert_eq!((post.coordinates.unwrap().lat, post.author.unwrap().followers), (47.0, Some(7)));
    let gnip = r#"{"id":"tag:search.twitter.com,2005:1901","objectType":"activity","verb":"share","postedTime":"2026-10-02T08:00:00.000Z","actor":{"id":"id:twitter.com:5","preferredUsername":"mia","followersCount":9,"location":{"displayName":"Graz"}},"body":"RT @bo: the wh…","link":"http://twitter.com/mia/statuses/1901","object":{"id":"tag:search.twitter.com,2005:1900","body":"the whole of it"},"geo":{"type":"Point","coordinates":[47.0,15.4]}}
{"info":{"message":"Replay Request Completed"},"verb":"delete","postedTime":"2026-10-02T08:00:00.000Z"}
"#;
    check(
        "g.json",
        gnip.as_bytes(),
        "g.json: JSON lines: activities of GNIP",
        &["x:1901 mia: RT @bo: the whole of it"],
    )
    .await;
    let scraped = r#"{"_type":"snscrape.modules.twitter.Tweet","url":"https://x.example/1","date":"2026-10-02T08:00:00+00:00","rawContent":"Queue","id":1901,"user":{"username":"bo"},"retweetedTweet":{"id":1900}}"#;
    let words = "s.jsonl: JSON lines: posts collected by snscrape";
    check("s.jsonl", scraped.as_bytes(), words, &["shop:1901 bo: Queue"]).await;
    assert_eq!(
        import("s.jsonl", scraped.as_bytes()).await.queue.posts()[0].repost_of.clone().unwrap().as_str(),
        "shop:1900"
    );
}

#[tokio::test]
async fn exports_of_the_fediverse_and_of_bluesky() {
    let outbox = r#"{
  "@context": "https://www.w3.org/ns/activitystreams", "id": "outbox.json", "type": "OrderedCollection", "totalItems": 3,
  "orderedItems": [
    {"id":"https://s.example/users/jo/statuses/1/activity","type":"Create","actor":"https://s.example/users/jo","published":"2026-10-02T08:00:00Z","to":[],"cc":[],"object":{"id":"https://s.example/users/jo/statuses/1","type":"Note","summary":null,"content":"<p>New #tram stop</p>","published":"2026-10-02T08:00:00Z","url":"https://s.example/@jo/1","contentMap":{"en":"x"}}},
    {"id":"https://s.example/users/jo/statuses/2/activity","type":"Announce","actor":"https://s.example/users/jo","published":"2026-10-02T08:00:00Z","cc":[],"object":"https://o.example/1"}
  ]
}"#;
    let about = "activities of the fediverse (Mastodon's archive)";
    let post = ["mastodon:https://s.example/users/jo/statuses/1 jo@s.example: New #tram stop"];
    check("outbox.json", outbox.as_bytes(), &format!("outbox.json: JSON: {about}"), &post).await;
    let feed = r#"{"feed":[{"post":{"uri":"at://did:plc:a/app.bsky.feed.post/3x","author":{"did":"did:plc:a","handle":"ana.example"},"record":{"text":"Parado","createdAt":"2026-10-02T08:00:00Z","langs":["pt"]},"indexedAt":"2026-10-02T08:00:01Z"}}],"cursor":"c"}
{"feed":[]}
"#;
    let post = ["bluesky:at://did:plc:a/app.bsky.feed.post/3x ana.example: Parado"];
    check("feed.jsonl", feed.as_bytes(), "feed.jsonl: JSON lines: posts of Bluesky", &post).await;
    let events = r#"{"did":"did:plc:a","time_us":1790928000000000,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"3x","record":{"text":"Parado"}}}
{"did":"did:plc:a","time_us":1790928000000001,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.like","rkey":"3y","record":{}}}
"#;
    let post = ["bluesky:at://did:plc:a/app.bsky.feed.post/3x : Parado"];
    check("events.jsonl", events.as_bytes(), "events.jsonl: JSON lines: posts of Bluesky", &post).await;
}

fn parquet_file() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1_893_050_000_000_000_001), Some(2)]));
    let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_790_928_000_000; 2]).with_timezone("+00:00"));
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("Grüße"), None]));
    let name: ArrayRef = Arc::new(StringArray::from(vec!["eva", "bo"]));
    let field = arrow::datatypes::Field::new("screen_name", arrow::datatypes::DataType::Utf8, false);
    let user: ArrayRef = Arc::new(StructArray::from(vec![(Arc::new(field), name)]));
    let rows = RecordBatch::try_from_iter([("id", ids), ("created_at", at), ("text", text), ("user", user)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test]
async fn parquet_is_read_with_its_types() {
    let bytes = parquet_file();
    check("a.parquet", &bytes, "a.parquet: Parquet", &["shop:1893050000000000001 eva: Grüße"]).await;
    let reasons = import("a.parquet", &bytes).await.queue.dead_letters(9).await.unwrap();
    assert!(reasons[0].reason.starts_with("row 2: there is no text"), "{}", reasons[0].reason);
}

/// A workbook as Excel writes one: shared texts, a date by its style, a cell left out, a text of its own.
fn workbook() -> Vec<u8> {
    let sheet = r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
        <row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c><c r="D1" t="s"><v>3</v></c></row>
        <row r="2"><c r="A2"><v>1</v></c><c r="B2" s="1"><v>46297.333333333336</v></c><c r="D2" t="s"><v>4</v></c></row>
        <row r="3"/><row r="4"><c r="A4"><v>1.8930500000000001E+18</v></c><c r="B4" s="1"><v>46297</v></c><c r="C4" t="inlineStr"><is><t>bo</t></is></c><c r="D4" t="str"><v>x</v></c></row>
        </sheetData></worksheet>"#;
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", br#"<workbook xmlns:r="r"><sheets><sheet name="Q &amp; A" sheetId="1" r:id="rId1"/><sheet name="B" r:id="rId2"/></sheets></workbook>"#),
        ("xl/_rels/workbook.xml.rels", br#"<Relationships><Relationship Id="rId2" Target="worksheets/sheet1.xml"/><Relationship Id="rId1" Target="worksheets/sheet2.xml"/></Relationships>"#),
        ("xl/styles.xml", br#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd.mm.yyyy hh:mm"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>"#),
        ("xl/sharedStrings.xml", "<sst><si><t>id</t></si><si><t>created_at</t></si><si><t>username</t></si><si><t>text</t></si><si><r><t xml:space=\"preserve\">Grüße &lt;3 </t></r><r><t>&#x1F686;</t></r></si></sst>".as_bytes()),
        ("xl/worksheets/sheet2.xml", sheet.as_bytes()),
    ])
}

#[tokio::test]
async fn the_first_sheet_of_a_workbook_is_read_with_its_dates() {
    let words = "a.xlsx: the sheet \"Q & A\" of a workbook, the first of 2 sheets";
    check("a.xlsx", &workbook(), words, &["shop:1 : Grüße <3 🚆"]).await;
    let imported = import("a.xlsx", &workbook()).await;
    assert_eq!(imported.queue.posts()[0].occurred_at.to_rfc3339(), "2026-10-02T08:00:00+00:00");
    let reason = imported.queue.dead_letters(9).await.unwrap().remove(0).reason;
    assert!(reason.starts_with("row 4: the id 1.8930500000000001E+18 was written as a decimal"), "{reason}");
}

#[tokio::test]
async fn the_files_of_an_archive_that_hold_posts_are_read() {
    let more = "{\"id\":\"3\",\"created_at\":\"2026-10-02T08:02:00Z\",\"text\":\"three\"}\n";
    let gz = packed(more, "gzip");
    let files: [(&str, &[u8]); 4] = [
        ("a/posts.csv", TABLE.as_bytes()),
        ("a/picture.png", b"\x89PNG"),
        ("b/more.jsonl.gz", &gz),
        ("__MACOSX/a.csv", b"x"),
    ];
    let imported = import("all.zip", &zip(&files)).await;
    assert_eq!(imported.shown().len(), 3, "{:?}", imported.report);
    assert_eq!(imported.recognised.len(), 2);
    assert!(imported.recognised[1].starts_with("b/more.jsonl.gz in all.zip: JSON lines"), "{:?}", imported.recognised);
    let tweets = b"window.YTD.tweets.part0 = [{\"tweet\":{\"id\":\"1\",\"created_at\":\"2026-10-02T08:02:00Z\",\"full_text\":\"mine\"}}]";
    let archive = zip(&[("data/tweets.js", tweets), ("data/like.js", b"window.YTD.like.part0 = [{\"like\":{}}]")]);
    assert_eq!(import("x.zip", &archive).await.shown(), ["shop:1 : mine"]);
}

#[tokio::test]
async fn a_file_that_breaks_off_keeps_what_stands_before() {
    let many: String = (0..20_000)
        .map(|n| {
            format!(
                "{{\"id\":\"{n}\",\"created_at\":\"2026-10-02T08:02:00Z\",\"text\":\"number {}\"}}\n",
                n * 7919 % 10_007
            )
        })
        .collect();
    for by in ["gzip", "zstd", "bzip2"] {
        let whole = packed(&many, by);
        let imported = import("a.jsonl", &whole[..whole.len() * 2 / 3]).await;
        let stored = imported.report.summary.stored;
        assert!(stored > 0 && stored < 20_000, "{by}: {stored}");
        assert_eq!(imported.queue.posts().len() as u64, stored);
        let broken = imported.report.broken.join("; ");
        assert!(broken.contains("are kept") && broken.contains("a.jsonl"), "{broken}");
    }
    let limited = import_with("a.jsonl", &packed(&many, "gzip"), |config| config.bytes_max = Some(100_000)).await;
    assert!(
        limited.report.summary.stored < 20_000 && limited.report.broken[0].contains("once unpacked"),
        "{:?}",
        limited.report.broken
    );
}

#[tokio::test]
async fn paths_within_json_can_be_named() {
    let line = r#"{"key":7,"when":"2026-10-02T08:00:00Z","parts":[{"words":"first"},{"words":"second"}],"by":{"who":{"name":"eva"}}}"#;
    let columns = "id=key,created_at=when,text=parts[1].words,username=$.by.who.name";
    let imported =
        import_with("a.jsonl", line.as_bytes(), |config| config.columns = ColumnMapping::parse(columns).unwrap()).await;
    assert_eq!(imported.shown(), ["shop:7 eva: second"]);
}
