//! Any text as a series for the backtest: no panic, in the reader, in what is told of gaps, and in the detector.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let Ok(rows) = detect::read_csv(data) else { return };
    let Some(interval_s) = detect::interval_of(&rows) else { return };
    drop(detect::missing(&rows, interval_s));
    let result = detect::backtest(detect::Config::every(interval_s), rows.iter().copied());
    assert_eq!(result.rows.len(), rows.len());
});
