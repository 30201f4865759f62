//! Reads one text a line and writes one line of JSON each; with `--speed N` reads all of it N times instead and prints
//! texts per second of processor time on one core, the time to load, and the memory in use.

use places::{Gazetteer, Hints, geocode_line};
use std::io::{BufRead, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let gazetteer = Gazetteer::embedded()?;
    let load = start.elapsed();
    let lines: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, rounds] = args.as_slice()
        && flag == "--speed"
    {
        let rounds: usize = rounds.parse()?;
        let hints = Hints::default();
        let start = processor_seconds();
        let found: usize = (0..rounds).flat_map(|_| &lines).map(|line| gazetteer.locate(line, &hints).len()).sum();
        let seconds = processor_seconds() - start;
        let texts = (rounds * lines.len()) as f64;
        eprintln!(
            "{:.0} texts/s ({found} places, load {:.3} ms, {})",
            texts / seconds,
            load.as_secs_f64() * 1e3,
            memory()
        );
        return Ok(());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in &lines {
        writeln!(out, "{}", geocode_line(gazetteer, line, &Hints::default()))?;
    }
    Ok(())
}

/// Processor time of this process so far: other work on the machine does not count. Linux counts nanoseconds here.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

/// Peak memory as Linux counts it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory unknown").to_owned()
}
