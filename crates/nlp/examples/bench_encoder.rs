//! How fast a model folder is on this machine: `cargo run -p nlp --example bench_encoder -- MODEL_DIR TEXTS [options]`.
//!
//! TEXTS holds one text a line. Prints one JSON object a run (posts a second, pieces a second), then the median; with
//! `--single` the time of single posts; with `--reference` compares with the folder's `reference.json`.

use nlp::encoder::{Encoder, Isa, Level, Options, Precision};
use std::path::Path;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, texts, options @ ..] = arguments.as_slice() else {
        return Err("usage: bench_encoder MODEL_DIR TEXTS [--threads N] [--budget N] [--runs N] [--exact] [--plain] [--single] [--reference]".into());
    };
    let flag = |name: &str| options.iter().any(|option| option == name);
    let number = |name: &str, default: usize| {
        let at = options.iter().position(|option| option == name);
        at.and_then(|i| options.get(i + 1)).map_or(Ok(default), |value| value.parse())
    };
    let defaults = Options::default();
    let threads = number("--threads", defaults.threads)?;
    let token_budget = number("--budget", defaults.token_budget)?;
    let precision = if flag("--exact") { Precision::Exact } else { Precision::Int8 };
    let began = Instant::now();
    let mut encoder = Encoder::load(Path::new(dir), Options { precision, threads, token_budget })?;
    if flag("--plain") {
        encoder = encoder.with_isa(Isa::PLAIN);
    }
    let loaded = began.elapsed().as_secs_f64();
    let texts = std::fs::read_to_string(texts)?;
    let texts: Vec<&str> = texts.lines().collect();
    let first = texts.first().ok_or("no texts")?;
    let answered = encoder.read(&[first]).pop().is_some_and(|r| r.is_ok());
    println!(
        "{}",
        serde_json::json!({"model": encoder.name(), "isa": format!("{:?}", encoder.isa()), "threads": threads, "token_budget": token_budget,
            "load_s": loaded, "first_answer_s": began.elapsed().as_secs_f64(), "first_answer": answered, "memory_mb": memory_mb()})
    );
    if flag("--reference") {
        compare(&encoder, Path::new(dir))?;
    }
    let mut rates = Vec::new();
    for run in 0..number("--runs", 5)? {
        let (began, busy) = (Instant::now(), processor_s());
        let readings = encoder.read(&texts);
        let seconds = began.elapsed().as_secs_f64();
        let busy_s = processor_s().zip(busy).map(|(after, before)| after - before);
        let pieces: usize = readings.iter().flatten().map(|r| r.tokens.ids.len() + 2).sum();
        let failed = readings.iter().filter(|r| r.is_err()).count();
        rates.push(texts.len() as f64 / seconds);
        println!(
            "{}",
            serde_json::json!({"run": run, "posts_per_s": texts.len() as f64 / seconds, "pieces_per_s": pieces as f64 / seconds, "busy_s": busy_s, "failed": failed})
        );
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "{}",
        serde_json::json!({"posts": texts.len(), "median_posts_per_s": rates.get(rates.len() / 2), "memory_mb": memory_mb()})
    );
    if flag("--single") {
        let mut times: Vec<f64> = Vec::new();
        for text in texts.iter().take(200) {
            let began = Instant::now();
            encoder.read(&[text]).pop();
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{}",
            serde_json::json!({"single_post_ms": {"p50": times[times.len() / 2], "p95": times[times.len() * 95 / 100]}})
        );
    }
    Ok(())
}

/// Largest difference of any logit from what the training wrote.
#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn compare(encoder: &Encoder, dir: &Path) -> Result<(), Failure> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(dir.join("reference.json"))?)?;
    let (mut worst, mut same_pieces, mut same_labels, mut labels) = (0f64, 0, 0, 0);
    for row in &rows {
        let text = row["normalised"].as_str().unwrap_or_default();
        let reading = encoder.read(&[text]).pop().ok_or("no reading")??;
        let ids: Vec<u64> = row["ids"].as_array().into_iter().flatten().filter_map(|v| v.as_u64()).collect();
        same_pieces +=
            usize::from(reading.tokens.ids.iter().map(|id| u64::from(*id)).eq(ids[1..ids.len() - 1].iter().copied()));
        for (head, logits) in encoder.heads().zip(&reading.logits) {
            if let Some(want) = row["logits"][&head.name].as_array() {
                for (a, b) in logits.iter().zip(want) {
                    worst = worst.max((f64::from(*a) - b.as_f64().unwrap_or(f64::NAN)).abs());
                }
            }
            if head.level == Level::Piece
                && let Some(want) = row["entity_labels"].as_array()
            {
                for (row, want) in logits.chunks(head.labels.len()).zip(&want[1..]) {
                    let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
                    labels += 1;
                    same_labels += usize::from(Some(head.labels[best].as_str()) == want.as_str());
                }
            }
        }
    }
    println!(
        "{}",
        serde_json::json!({"reference": {"texts": rows.len(), "same_pieces": same_pieces, "largest_logit_difference": worst, "entity_labels": labels, "same_entity_labels": same_labels}})
    );
    Ok(())
}

/// Resident memory of this process, where Linux tells.
fn memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}

/// Processor seconds of all threads of this process, where Linux tells: what counts on a machine with other work to do.
fn processor_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
