//! Durable commits of enriched posts, compaction, and queries: `cargo run -p lake --example lake_bench -- MODE [folder]`.
//!
//! - `bulk [posts] [batch]`: as fast as it goes, in batches; says how long the steps take.
//! - `paced [seconds] [rate]`: `rate` posts/s, one commit a second; latency of commits, and until SQL sees the rows.
//! - `compact [commits] [rows]`: so many small commits, then one maintenance; the same questions before and after.

use domain::{
    Author, Category, EnrichedBatch, EnrichedPost, Enrichment, Entity, EntityKind, KeyPhrase, Language, Post, PostId,
    PostTable, Provenance, QueryLimits, Sentiment, SentimentLabel, SourceId, SystemClock, Timestamp,
};
use lake::{Config, Lake};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let folder = tempfile::tempdir_in(".")?;
    let kept = arguments.iter().skip(1).find(|text| text.contains('/'));
    let place = kept.cloned().unwrap_or_else(|| folder.path().to_string_lossy().into_owned());
    let lake = Lake::open(&place, Config::default(), Arc::new(SystemClock)).await?;
    match arguments.first().map(String::as_str) {
        Some("paced") => paced(&lake, number(1, 60), number(2, 200)).await,
        Some("compact") => compact(&lake, number(1, 1_000), number(2, 200)).await,
        _ => bulk(&lake, number(1, 200_000), number(2, 5_000)).await,
    }
}

async fn bulk(lake: &Lake, posts: u64, size: u64) -> Outcome {
    let mut out = std::io::stdout().lock();
    let (mut busy, mut slowest, mut cpu) = (Duration::ZERO, Duration::ZERO, 0.0);
    for nth in 0..posts / size {
        let batch = batch(nth * size + 1, size)?;
        let (began, cpu_before) = (Instant::now(), cpu_seconds());
        lake.commit(batch).await?;
        cpu += cpu_seconds() - cpu_before;
        busy += began.elapsed();
        slowest = slowest.max(began.elapsed());
    }
    let rate = posts as f64 / busy.as_secs_f64();
    writeln!(out, "bulk: {rate:.0} posts/s in commits of {size}, slowest commit {} ms", slowest.as_millis())?;
    writeln!(out, "      {:.0} posts per processor second", posts as f64 / cpu)?;
    ask(lake, &mut out).await
}

async fn paced(lake: &Lake, seconds: u64, rate: u64) -> Outcome {
    let mut out = std::io::stdout().lock();
    let (mut commits, mut visible) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for nth in 0..seconds {
        ticks.tick().await;
        let batch = batch(nth * rate + 1, rate)?;
        let began = Instant::now();
        lake.commit(batch).await?;
        commits.push(began.elapsed());
        let count = format!("SELECT count(*) FROM posts WHERE post_id >= '{}'", id(nth * rate + 1)?);
        let answer = lake.query(&count, QueryLimits::default()).await?;
        if answer.rows[0][0] != rate {
            return Err(format!("{} rows are visible, {rate} were committed", answer.rows[0][0]).into());
        }
        visible.push(began.elapsed());
        if nth % 30 == 29 {
            lake.maintain(domain::Clock::now(&SystemClock)).await?;
        }
    }
    for (what, times) in [("commit", &mut commits), ("visible in SQL", &mut visible)] {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_millis();
        writeln!(out, "{what} at {rate} posts/s: p50 {} ms, p99 {} ms, max {} ms", at(0.5), at(0.99), at(1.0))?;
    }
    Ok(())
}

async fn compact(lake: &Lake, commits: u64, rows: u64) -> Outcome {
    let mut out = std::io::stdout().lock();
    let began = Instant::now();
    for nth in 0..commits {
        lake.commit(batch(nth * rows + 1, rows)?).await?;
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds());
    writeln!(out, "{commits} commits of {rows}: {seconds:.1} s, {cpu:.1} processor seconds")?;
    ask(lake, &mut out).await?;
    let began = Instant::now();
    let done = lake.maintain(domain::Clock::now(&SystemClock)).await?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    writeln!(out, "maintenance and the questions before it: {seconds:.1} s, {cpu:.1} processor seconds, {done:?}")?;
    ask(lake, &mut out).await
}

/// What a dashboard asks.
async fn ask(lake: &Lake, out: &mut impl Write) -> Outcome {
    for sql in [
        "SELECT count(*), count(DISTINCT post_id) FROM posts",
        "SELECT date_trunc('hour', occurred_at), sentiment, count(*) FROM posts GROUP BY 1, 2",
        "SELECT entity, count(*) AS n FROM entities GROUP BY 1 ORDER BY n DESC LIMIT 10",
        "SELECT * FROM posts ORDER BY occurred_at DESC LIMIT 50",
    ] {
        let began = Instant::now();
        let rows = lake.query(sql, QueryLimits::default()).await?.rows;
        writeln!(out, "  {:>5} ms, {} rows: {sql}", began.elapsed().as_millis(), rows.len())?;
        if rows.len() == 1 {
            writeln!(out, "         {:?}", rows[0])?;
        }
    }
    Ok(())
}

fn id(number: u64) -> Outcome<PostId> {
    Ok(PostId::new("x", &format!("17{number:017}"))?)
}

fn batch(first: u64, size: u64) -> Outcome<EnrichedBatch> {
    let posts = (first..first + size).map(post).collect::<Outcome<_>>()?;
    Ok(EnrichedBatch {
        partition: "posts".into(),
        after_offset: 0,
        last_offset: first + size - 1,
        posts: Arc::new(posts),
        deletions: Vec::new(),
    })
}

/// A post of the length and the findings that a usual one has; 100 a second in event time.
fn post(number: u64) -> Outcome<EnrichedPost> {
    let at = Timestamp::from_timestamp_millis(1_772_323_200_000 + i64::try_from(number)? * 10).unwrap_or_default();
    let text = format!(
        "@airline flight {number} was late again, and nobody at the gate in Chicago knew why. Third time! #fail"
    );
    let payload =
        format!("{{\"data\":{{\"id\":\"17{number:017}\",\"text\":{text:?},\"created_at\":\"{at}\",\"lang\":\"en\"}}}}");
    let entity = |text: &str, kind, begin| Entity { text: text.into(), kind, confidence: 0.93, begin, end: begin + 8 };
    let phrase = |text: &str, begin| KeyPhrase { text: text.into(), confidence: 0.8, begin, end: begin + 8 };
    let mood = [SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Positive][number as usize % 3];
    Ok(EnrichedPost {
        offset: number,
        post: Post {
            id: id(number)?,
            source: SourceId("bench".into()),
            platform: "x".into(),
            text,
            author: Some(Author {
                id: Some(format!("{}", number % 5_000)),
                username: Some(format!("traveller{}", number % 5_000)),
                location: Some("Chicago".into()),
                followers: Some(number % 1_000),
            }),
            url: Some(format!("https://x.com/i/status/17{number:017}")),
            occurred_at: at,
            received_at: at,
            language_hint: Some("en".into()),
            coordinates: None,
            place_name: None,
            repost_of: None,
            replaces: Vec::new(),
            reach: Some(number % 1_000),
            provenance: Provenance::Stream,
            topics_hint: vec!["airline".into()],
            payload_format: None,
            payload,
        },
        enrichment: Enrichment {
            language: Language { code: "en".into(), confidence: 0.97 },
            sentiment: Some(Sentiment { label: mood, positive: 0.1, negative: 0.7, neutral: 0.15, mixed: 0.05 }),
            entities: vec![
                entity("@airline", EntityKind::Mention, 0),
                entity("Chicago", EntityKind::Location, 57),
                entity("#fail", EntityKind::Hashtag, 91),
            ],
            key_phrases: vec![phrase("the gate", 46), phrase("flight", 9), phrase("third time", 80)],
            category: Some(Category { label: "delay".into(), confidence: 0.8 }),
            fingerprint: Some(i64::try_from(number)?),
            model: "bench 1".into(),
            ..Enrichment::default()
        },
        topics: vec!["airline".into()],
        place: None,
        author_place: None,
        enriched_at: at,
    })
}

/// Processor seconds that this process has used (Linux; clock ticks of 10 ms): a rate that a busy machine doesn't bend.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}
