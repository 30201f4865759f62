//! Durable appends and leases per second: `cargo run -p queue --example queue_bench -- [records] [batch] [writers] [seen]`.
//! `seen` ids are put into the table of known ids first, to show what a long life costs.

use domain::{Post, PostId, PostQueue, Provenance, Record, SourceId, SystemClock, Timestamp, WorkQueue};
use queue::{Config, Embedded};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn record(number: u64) -> Result<Record, domain::Error> {
    let at = Timestamp::from_timestamp(1_700_000_000 + i64::try_from(number / 100).unwrap_or(0), 0).unwrap_or_default();
    let text =
        format!("@airline flight {number} was late again and nobody at the gate knew why; the third time this month");
    Ok(Record::Post(Box::new(Post {
        id: PostId::new("x", &format!("17{number:017}"))?,
        source: SourceId("bench".into()),
        platform: "x".into(),
        payload: format!(
            "{{\"data\":{{\"id\":\"17{number:017}\",\"text\":{text:?},\"created_at\":\"{at}\",\"author_id\":\"2244994945\",\
             \"lang\":\"en\",\"public_metrics\":{{\"retweet_count\":0,\"reply_count\":1,\"like_count\":2,\"quote_count\":0}},\
             \"edit_history_tweet_ids\":[\"17{number:017}\"]}},\"matching_rules\":[{{\"id\":\"1\",\"tag\":\"airline\"}}]}}"
        ),
        text,
        author: None,
        url: Some(format!("https://x.com/i/status/17{number:017}")),
        occurred_at: at,
        received_at: at,
        language_hint: Some("en".into()),
        coordinates: None,
        place_name: None,
        repost_of: None,
        replaces: Vec::new(),
        reach: Some(100),
        provenance: Provenance::Stream,
        topics_hint: vec!["airline".into()],
        payload_format: None,
    })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (records, batch, writers, seen) = (argument(0, 200_000), argument(1, 1_000), argument(2, 1), argument(3, 0));
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("overheard.db");
    let config = Config { waiting_max: u64::MAX, waiting_bytes_max: u64::MAX, leases_max: 1, ..Config::default() };
    let queue = Arc::new(Embedded::open(&path, config, Arc::new(SystemClock))?);
    let mut out = std::io::stdout().lock();
    if seen > 0 {
        fill_seen(&path, seen)?;
    }
    let batches: Vec<Vec<Record>> = (0..records / batch)
        .map(|nth| (nth * batch..(nth + 1) * batch).map(record).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()?;
    let cpu = cpu_seconds();
    let bytes = serde_json::to_vec(&batches[0][0])?.len();
    let began = Instant::now();
    let mut tasks = Vec::new();
    let share = batches.len().div_ceil(usize::try_from(writers)?);
    for part in batches.chunks(share).map(<[_]>::to_vec) {
        let queue = Arc::clone(&queue);
        tasks.push(tokio::spawn(async move {
            for batch in part {
                queue.append(batch).await?;
            }
            Ok::<_, domain::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let rate = |began: Instant| records as f64 / began.elapsed().as_secs_f64();
    writeln!(
        out,
        "append: {:.0} records/s ({bytes} bytes each, batches of {batch}, {writers} writers, {seen} ids known)",
        rate(began)
    )?;
    writeln!(out, "        {:.0} records per processor second", records as f64 / (cpu_seconds() - cpu))?;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    while let Some(lease) = queue.lease(1_000, Duration::from_secs(60)).await? {
        queue.ack(lease.id).await?;
    }
    writeln!(out, "lease and ack: {:.0} records/s (batches of 1000)", rate(began))?;
    writeln!(out, "        {:.0} records per processor second", records as f64 / (cpu_seconds() - cpu))?;
    writeln!(out, "file: {} MiB", std::fs::metadata(&path)?.len() >> 20)?;
    Ok(())
}

fn fill_seen(path: &std::path::Path, seen: u64) -> rusqlite::Result<()> {
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;")?;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
               INSERT OR IGNORE INTO seen SELECT randomblob(16), 0, 20000 FROM n";
    connection.execute(sql, [seen]).map(drop)
}

/// Processor seconds that this process has used (Linux; clock ticks of 10 ms): a rate that a busy machine doesn't bend.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}
