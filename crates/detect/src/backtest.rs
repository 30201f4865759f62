//! A series through the very detector that watches live: rows in, rows out, nothing looked up ahead.

use crate::config::Config;
use crate::detector::Detector;
use crate::incident::{Change, Incident};
use domain::Timestamp;
use std::fmt::Write;

/// One interval as it was judged when it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BacktestRow {
    pub at: Timestamp,
    pub value: f64,
    pub expected: f64,
    pub lower: f64,
    pub upper: f64,
    /// Score of a new incident beginning here, 0 to 1.
    pub anomaly_score: f64,
    /// An anomaly was raised here: its onset, once per incident.
    pub anomaly: bool,
    /// An incident was going on.
    pub in_incident: bool,
}

/// The judged rows and the incidents found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backtest {
    pub rows: Vec<BacktestRow>,
    pub incidents: Vec<Incident>,
}

/// Streams `rows` (in order of time) through a fresh detector; days and weeks are UTC's.
pub fn backtest(config: Config, rows: impl IntoIterator<Item = (Timestamp, f64)>) -> Backtest {
    backtest_by_clock(config, |_| 0, rows)
}

/// The same by people's clock: `utc_offset_s` gives its seconds east of UTC at a moment.
pub fn backtest_by_clock(
    config: Config,
    utc_offset_s: impl Fn(Timestamp) -> i32,
    rows: impl IntoIterator<Item = (Timestamp, f64)>,
) -> Backtest {
    let mut detector = Detector::new(config);
    let mut result = Backtest::default();
    for (at, value) in rows {
        detector.set_utc_offset(utc_offset_s(at));
        let point = detector.push(at, value);
        let anomaly = matches!(point.change, Some(Change::Opened(_)));
        if let Some(Change::Ended(incident) | Change::Adopted(incident)) = point.change {
            result.incidents.push(incident);
        }
        result.rows.push(BacktestRow {
            at,
            value,
            expected: point.expected,
            lower: point.lower,
            upper: point.upper,
            anomaly_score: point.onset_score,
            anomaly,
            in_incident: point.in_incident,
        });
    }
    result.incidents.extend(detector.incident().copied());
    result
}

/// Length of the counting interval, seconds: the median distance of the first thousand rows. None below two rows.
pub fn interval_of(rows: &[(Timestamp, f64)]) -> Option<u32> {
    let mut distances: Vec<i64> =
        rows.windows(2).take(1000).map(|pair| (pair[1].0 - pair[0].0).num_seconds()).filter(|s| *s > 0).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).and_then(|s| u32::try_from(*s).ok())
}

/// Intervals without a row, with the first of them: a table of counts has none where nothing was counted.
pub fn missing(rows: &[(Timestamp, f64)], interval_s: u32) -> Option<(Timestamp, u64)> {
    let step = i64::from(interval_s.max(1));
    let between = |pair: &[(Timestamp, f64)]| ((pair[1].0 - pair[0].0).num_seconds() + step / 2) / step - 1;
    let first = rows.windows(2).find(|pair| between(pair) > 0)?[0].0 + chrono::TimeDelta::seconds(step);
    Some((first, rows.windows(2).map(|pair| u64::try_from(between(pair)).unwrap_or(0)).sum()))
}

/// Rows that are not later than the row before.
pub fn out_of_order(rows: &[(Timestamp, f64)]) -> usize {
    rows.windows(2).filter(|pair| pair[1].0 <= pair[0].0).count()
}

/// The most intervals that [`fill`] gives.
const FILLED_MAX: usize = 1_000_000;

/// The rows with 0 for each interval without one. A series too long for that is an error.
pub fn fill(rows: Vec<(Timestamp, f64)>, interval_s: u32) -> Result<Vec<(Timestamp, f64)>, String> {
    let absent = missing(&rows, interval_s).map_or(0, |(_, count)| count);
    if usize::try_from(absent).is_ok_and(|absent| absent + rows.len() > FILLED_MAX) {
        return Err(format!("{absent} intervals have no row: too many to be filled"));
    }
    let step = chrono::TimeDelta::seconds(i64::from(interval_s.max(1)));
    let mut filled: Vec<(Timestamp, f64)> = Vec::with_capacity(rows.len());
    for row in rows {
        while let Some((before, _)) = filled.last().copied().filter(|(before, _)| row.0 - *before > step * 3 / 2) {
            filled.push((before + step, 0.0));
        }
        filled.push(row);
    }
    Ok(filled)
}

/// Reads `timestamp,value` with a header, separated by comma, semicolon or tab; times as `2015-02-26 21:42:53`, with `T`,
/// fractions or an offset, days, UTC unless said, or seconds, milliseconds or microseconds since 1970. Errors name the line and say what was expected.
pub fn read_csv(text: &str) -> Result<Vec<(Timestamp, f64)>, String> {
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        let header = index == 0 && !line.trim_start_matches('"').starts_with(|c: char| c.is_ascii_digit());
        if line.is_empty() || header {
            continue;
        }
        let row = read_row(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        rows.push(row);
    }
    match rows.is_empty() {
        true => Err("there are no rows; a header timestamp,value and a row per interval are expected".into()),
        false => Ok(rows),
    }
}

fn read_row(line: &str) -> Result<(Timestamp, f64), String> {
    let delimiter = [',', ';', '\t'].into_iter().find(|delimiter| line.contains(*delimiter)).unwrap_or(',');
    let mut fields = line.split(delimiter).map(|field| field.trim().trim_matches('"'));
    let (Some(at), Some(value)) = (fields.next(), fields.next()) else {
        return Err(format!("two columns, timestamp,value, are expected, separated by a comma: {line:?}"));
    };
    let time = parse_time(at).ok_or_else(|| format!("{at:?} is not a time, like 2015-02-26 21:42:53"))?;
    match value.parse::<f64>() {
        Ok(count) if count.is_finite() && count >= 0.0 => Ok((time, count)),
        Ok(_) => Err(format!("{value:?} is not a count: 0 or more is expected")),
        Err(_) => Err(format!("{value:?} is not a number")),
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        // Told apart by their size, as for posts: seconds reach to the year 5138, milliseconds begin in 1973.
        let micros = match number {
            1e8..1e11 => number * 1e6,
            1e11..1e14 => number * 1e3,
            1e14..1e17 => number,
            _ => return None,
        };
        return Timestamp::from_timestamp_micros(micros as i64);
    }
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let offset = ["%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M%:z"];
    if let Some(at) = offset.iter().find_map(|form| chrono::DateTime::parse_from_str(text, form).ok()) {
        return Some(at.to_utc());
    }
    let text = text.trim_end_matches(" UTC").trim_end_matches('Z');
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .map(|at| at.and_utc())
}

/// Writes `timestamp,value,expected,lower,upper,anomaly_score,anomaly`.
pub fn write_csv(backtest: &Backtest) -> String {
    let mut out = String::with_capacity(backtest.rows.len() * 72);
    out.push_str("timestamp,value,expected,lower,upper,anomaly_score,anomaly\n");
    for row in &backtest.rows {
        let at = row.at.format("%Y-%m-%d %H:%M:%S");
        let anomaly = u8::from(row.anomaly);
        // Writing to a String cannot fail.
        writeln!(
            out,
            "{at},{},{:.3},{:.3},{:.3},{:.6},{anomaly}",
            row.value, row.expected, row.lower, row.upper, row.anomaly_score
        )
        .unwrap_or_default();
    }
    out
}
