//! Prints the figures of the detector on simulated counts: false alarms against the budget, delay of a tripled level,
//! points a second and bytes a series. `cargo run -p detect --example simulate`.

use detect::{Change, Config, Detector};
use std::time::Instant;

#[path = "../tests/simulation/mod.rs"]
mod simulation;
use simulation::{Random, start, usual};

fn main() {
    if std::env::args().nth(1).as_deref() != Some("speed") {
        false_alarms();
        delay();
    }
    speed();
}

fn false_alarms() {
    for dispersion in [0.0, 0.05, 0.1, 0.3, 0.5] {
        let mut alarms = 0;
        for series in 0..100_u64 {
            let mut random = Random::new(series + 1);
            let level = 2.0 * 1.09_f64.powi(series as i32);
            let mut detector = Detector::new(Config::every(3600));
            for hour in 0..8760 {
                let value = random.count(usual(level, hour), dispersion);
                let point = detector.push(start() + chrono::Duration::hours(hour), value);
                alarms += u32::from(matches!(point.change, Some(Change::Opened(_))));
            }
        }
        eprintln!("over-dispersion {dispersion}: {alarms} false alarms in a year of 100 series; budget 52");
    }
}

fn delay() {
    delay_of("flat, Poisson", |_| 20.0, 0.0);
    delay_of("flat, over-dispersed 0.05", |_| 20.0, 0.05);
    delay_of("flat, over-dispersed 0.1", |_| 20.0, 0.1);
    delay_of("with seasons, over-dispersed 0.05", |hour| usual(20.0, hour), 0.05);
}

fn delay_of(name: &str, usual: impl Fn(i64) -> f64, dispersion: f64) {
    let mut delays = Vec::new();
    for seed in 0..200 {
        let mut random = Random::new(seed + 1000);
        let mut detector = Detector::new(Config::every(3600));
        let mut opened = None;
        let begin = 24 * 28 + (seed as i64 * 7) % 24;
        for hour in 0..begin + 24 {
            let factor = if hour >= begin { 3.0 } else { 1.0 };
            let value = random.count(usual(hour) * factor, dispersion);
            let point = detector.push(start() + chrono::Duration::hours(hour), value);
            if hour >= begin && opened.is_none() && point.in_incident {
                opened = Some(hour - begin + 1);
            }
        }
        delays.push(opened.unwrap_or(99));
    }
    delays.sort_unstable();
    eprintln!(
        "delay of 3x on 20 an hour ({name}), intervals: median {}, 90 % {}, worst {}",
        delays[100], delays[180], delays[199]
    );
}

fn speed() {
    let mut random = Random::new(7);
    let values: Vec<f64> = (0..8760).map(|hour| random.count(usual(20.0, hour), 0.1)).collect();
    let began = Instant::now();
    let mut points = 0_u32;
    let mut total = 0.0;
    for _ in 0..100 {
        let mut detector = Detector::new(Config::every(3600));
        for (hour, value) in values.iter().enumerate() {
            total += detector.push(start() + chrono::Duration::hours(hour as i64), *value).score;
            points += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{:.2} million points/s (sum of scores {total:.0})", f64::from(points) / seconds / 1e6);
    eprintln!("{} bytes a series", Detector::memory_bytes());
}
