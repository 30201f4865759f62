//! Streams every CSV of a folder through the detector and writes scores for a NAB scorer:
//! `cargo run -p detect --example nab -- DATA_DIR OUT_DIR [SERIES]`, where SERIES
//! is the number of series that share the false-alarm budget.

use detect::{Config, backtest, interval_of, read_csv, write_csv};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(data), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: nab DATA_DIR OUT_DIR".into());
    };
    let series = arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(Config::default().series);
    std::fs::create_dir_all(&out)?;
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let rows = match read_csv(&std::fs::read_to_string(&path)?) {
            Ok(rows) => rows,
            Err(error) => {
                eprintln!("{}: skipped: {error}", path.display());
                continue;
            }
        };
        let config = Config { series, ..Config::every(interval_of(&rows).ok_or("too few rows")?) };
        let result = backtest(config, rows);
        std::fs::write(out.join(path.file_name().ok_or("no file name")?), write_csv(&result))?;
        eprintln!("{}: {} intervals, {} anomalies", path.display(), result.rows.len(), result.incidents.len());
    }
    Ok(())
}
