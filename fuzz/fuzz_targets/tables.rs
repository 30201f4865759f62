//! Any bytes as a file that is imported, by its first byte or as CSV: read to the end without a panic.
#![no_main]

use domain::ManualClock;
use libfuzzer_sys::fuzz_target;
use sources::file::{FileConfig, Format, check};

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let path = std::env::temp_dir().join(format!("overheard-fuzz-{}", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let format = [None, Some(Format::Csv), Some(Format::Json), Some(Format::JsonLines)][usize::from(kind % 4)];
    let config = FileConfig { format, ..FileConfig::new(path) };
    let at = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
    drop(check(&config, &ManualClock::at(at)));
});
