//! What the watch takes and tells at a volume: `cargo run -p pipeline --example watch_scale -- POSTS_A_DAY [FOLDER]`.
//!
//! Eight days with an eightfold last hour are written into a lake (kept in FOLDER when it is named); then the watch
//! judges the history, and the last hour interval by interval. Prints the interval and the seconds after which the anomaly
//! was reported and after which its cause was among the drivers, and the peak memory of the process.

#[path = "../tests/incident/mod.rs"]
mod incident;

use chrono::Duration;
use domain::SystemClock;
use incident::{Running, begin, names_cause, onset};
use lake::{Config, Lake};
use pipeline::WatchConfig;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let per_day: u64 = arguments.next().ok_or("say how many posts a day")?.parse()?;
    let folder = arguments.next().unwrap_or_else(|| format!("target/watch-scale-{per_day}"));
    let lake = Arc::new(Lake::open(folder.as_str(), Config::default(), Arc::new(SystemClock)).await?);
    let mut numbers = 0;
    let mut day = begin();
    while day < onset() {
        let next = (day + Duration::days(1)).min(onset());
        incident::write(&lake, per_day, day, next, &mut numbers).await?;
        day = next;
    }
    let written = peak_mb();
    reset_peak();
    let began = Instant::now();
    let config = WatchConfig { tick: std::time::Duration::from_millis(200), ..WatchConfig::default() };
    let running = Running::start(&lake, config, onset() + Duration::minutes(1));
    running.until(1_200, |running| running.health.problems().is_empty() && running.is_caught_up()).await;
    let history_s = began.elapsed().as_secs_f64();
    let (mut told, mut named) = (None, None);
    for interval in 1..=4 {
        let (from, to) = (onset() + Duration::minutes(15 * (interval - 1)), onset() + Duration::minutes(15 * interval));
        incident::write(&lake, per_day, from, to, &mut numbers).await?;
        running.clock.set(to + Duration::minutes(1));
        let began = Instant::now();
        if told.is_none() && running.until(60, |running| running.told.of_storm().is_some()).await {
            told = Some((interval, began.elapsed().as_secs_f64()));
        }
        if told.is_some()
            && named.is_none()
            && running.until(300, |running| running.told.of_storm().is_some_and(|storm| names_cause(&storm))).await
        {
            named = Some((interval, began.elapsed().as_secs_f64()));
        }
    }
    let out = &mut std::io::stdout();
    writeln!(
        out,
        "{per_day} posts a day: history judged in {history_s:.1} s; told at {told:?}, cause named at {named:?}"
    )?;
    writeln!(
        out,
        "peak memory: {written} MB writing, {} MB watching; problems: {:?}",
        peak_mb(),
        running.health.problems()
    )?;
    if let Some(storm) = running.told.of_storm() {
        let drivers: Vec<&str> = storm.drivers.iter().map(|driver| driver.value.as_str()).collect();
        writeln!(out, "{}\ndrivers: {drivers:?}", storm.sentence)?;
    }
    running.stop().await;
    Ok(())
}

/// Largest resident memory since the last reset.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn reset_peak() {
    // Where the kernel doesn't allow it, the peak is that of the writing.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}
