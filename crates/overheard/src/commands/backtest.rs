//! `overheard backtest`: a series through the very detector that watches live.

use crate::Global;
use crate::commands::moment;
use crate::output::say;
use anyhow::{Context, Result, bail};
use chrono::Offset;
use detect::{Backtest, FalseAlarms};
use domain::{Clock, Dimension, SeriesKey, SystemClock, TimeRange, Timestamp, WatchHistory};
use pipeline::watch::counts;
use runtime::{Config, wiring};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the anomaly detector over historical data
///
/// Shows the anomalies that it would have reported at the time, without looking ahead. The series comes
/// from a CSV file with the columns timestamp and value, or from the posts in the lake.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard backtest series.csv --scores out.csv
  overheard backtest --topic storm --since 2026-03-01 --svg storm.svg"#
)]
pub(crate) struct Args {
    /// CSV file with the columns timestamp,value. Timestamps are dates, RFC 3339, or Unix time in s, ms or µs (UTC).
    #[arg(required_unless_present = "since", conflicts_with = "since")]
    series: Option<PathBuf>,
    /// Interval length: 5m, 1h, 1d [default: detected from the file; 1h for the lake].
    #[arg(long)]
    interval: Option<String>,
    /// Topic to count [default: all posts].
    #[arg(long)]
    topic: Option<String>,
    /// Category within the topic.
    #[arg(long)]
    category: Option<String>,
    /// Count posts in the lake from this day (2026-03-01) or timestamp on.
    #[arg(long)]
    since: Option<String>,
    /// Count missing intervals of the file as 0 [default: they are skipped and reported].
    #[arg(long, requires = "series")]
    missing_is_zero: bool,
    /// Write scores to this CSV file: timestamp,value,expected,lower,upper,anomaly_score,anomaly.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Write a chart to this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Accepted false alarms per week, over all series together.
    #[arg(long)]
    false_alarms_per_week: Option<f64>,
    /// Number of series that share these false alarms [default: 100 for a file, the actual number for the lake].
    #[arg(long)]
    series_watched: Option<u32>,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let asked = args.interval.as_deref().map(seconds).transpose()?;
    let (name, rows, interval_s, watched) = match &args.series {
        Some(file) => {
            let (rows, interval_s) = from_file(file, asked, args.missing_is_zero)?;
            (file.display().to_string(), rows, interval_s, detect::Config::default().series)
        }
        None => {
            let interval_s = asked.unwrap_or(3600);
            let key = SeriesKey {
                topic: args.topic.clone(),
                part: args.category.clone().map(|category| (Dimension::Category, category)),
            };
            let (rows, watched) = from_lake(&config, &args, &key, interval_s).await?;
            (key.topic_name().to_owned(), rows, interval_s, watched)
        }
    };
    let per_week = args.false_alarms_per_week.unwrap_or(config.watch.false_alarms_per_week);
    if per_week.is_nan() || per_week <= 0.0 {
        bail!("--false-alarms-per-week must be greater than 0");
    }
    let settings = detect::Config {
        false_alarms: FalseAlarms { per_week },
        series: args.series_watched.unwrap_or(watched),
        ..detect::Config::every(interval_s)
    };
    let zone: chrono_tz::Tz =
        config.time_zone.parse().map_err(|_| anyhow::anyhow!("time_zone is not an IANA time zone"))?;
    // The lake's days and weeks are people's, as the watch has them; a file's are its own.
    let in_lake = args.series.is_none();
    let utc_offset_s =
        |at: Timestamp| if in_lake { at.with_timezone(&zone).offset().fix().local_minus_utc() } else { 0 };
    let result = detect::backtest_by_clock(settings, utc_offset_s, rows);
    if let Some(file) = &args.scores {
        std::fs::write(file, detect::write_csv(&result)).with_context(|| format!("write {}", file.display()))?;
    }
    if let Some(file) = &args.svg {
        std::fs::write(file, detect::draw_svg(&name, &result)).with_context(|| format!("write {}", file.display()))?;
    }
    tell(&name, &result)
}

/// The rows of a file with the length of their interval; what is doubtful about them is told.
fn from_file(file: &Path, asked: Option<u32>, fill: bool) -> Result<(Vec<(Timestamp, f64)>, u32)> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("read {name} as UTF-8"))?;
    let rows = detect::read_csv(&text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let interval_s = asked.or_else(|| detect::interval_of(&rows)).context("at least two rows are needed")?;
    let disorder = detect::out_of_order(&rows);
    if disorder > 0 {
        say(format_args!("{name}: {disorder} rows are out of order; sort the file by timestamp"))?;
    }
    if fill {
        return Ok((detect::fill(rows, interval_s).map_err(|error| anyhow::anyhow!("{name}: {error}"))?, interval_s));
    }
    if let Some((first, count)) = detect::missing(&rows, interval_s) {
        say(format_args!(
            "{name}: skipped {count} intervals without a row, the first at {}; --missing-is-zero counts them as 0",
            first.format("%Y-%m-%d %H:%M"),
        ))?;
    }
    Ok((rows, interval_s))
}

/// The lake's counts of a series, and how many series the lake holds.
async fn from_lake(
    config: &Config,
    args: &Args,
    key: &SeriesKey,
    interval_s: u32,
) -> Result<(Vec<(Timestamp, f64)>, u32)> {
    let lake = wiring::open_lake_read_only(config).await?;
    let since = moment(args.since.as_deref().unwrap_or_default())?;
    let (first, last) = lake.span().await?.context("the lake is empty")?;
    let step = i64::from(interval_s);
    let floor = |at: Timestamp| Timestamp::from_timestamp(at.timestamp().div_euclid(step) * step, 0).unwrap_or(at);
    let (from, to) = (floor(since.max(first)), floor(last.min(SystemClock.now())));
    let range = TimeRange { from, to };
    let mut counted = counts::counts(lake.as_ref(), range, interval_s, &config.watch.dimensions()?).await?.counts;
    let watched = counted.len();
    let mut known: HashMap<Timestamp, f64> = counted.remove(key).into_iter().flatten().collect();
    if known.is_empty() {
        bail!("no mentions of {:?} since {since}; `overheard topics list` shows all topics", key.topic_name());
    }
    let intervals = (to - from).num_seconds() / step;
    let rows = (0..intervals)
        .map(|index| from + chrono::Duration::seconds(index * step))
        .map(|at| (at, known.remove(&at).unwrap_or(0.0)))
        .collect();
    Ok((rows, u32::try_from(watched).unwrap_or(u32::MAX)))
}

fn tell(name: &str, result: &Backtest) -> Result<ExitCode> {
    say(detect::draw_terminal(result, 100))?;
    for incident in &result.incidents {
        say(format_args!(
            "{:<8} {:?} from {} to {}: peak {:.0} (expected {:.1}), score {:.2}",
            incident.severity.as_str(),
            incident.kind,
            incident.onset.format("%Y-%m-%d %H:%M"),
            incident.last.format("%Y-%m-%d %H:%M"),
            incident.observed,
            incident.expected,
            incident.score,
        ))?;
    }
    say(format_args!("{name}: {} intervals, {} incidents", result.rows.len(), result.incidents.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// `5m`, `1h`, `1d` or seconds.
fn seconds(text: &str) -> Result<u32> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(seconds) if seconds > 0 => Ok(seconds),
        _ => bail!("invalid --interval {text:?} (use e.g. 5m, 1h or 1d)"),
    }
}
