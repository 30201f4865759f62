//! Series in, anomalies out: a streaming detector of changes in counts (`Detector`), the detectors of all series and which
//! of them reports an incident (`Grid`), why it happened (`explain`), the sentence people read, and the back-test with its
//! pictures. Pure: no I/O, no clock, no randomness.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

mod anomaly;
mod backtest;
mod config;
mod count;
mod detector;
mod draw;
mod evidence;
mod examples;
mod explain;
mod grid;
mod incident;
mod prediction;
mod season;
mod sentence;
mod spread;
mod tail;
mod wording;

pub use anomaly::{anomaly, anomaly_id};
pub use backtest::{
    Backtest, BacktestRow, backtest, backtest_by_clock, fill, interval_of, missing, out_of_order, read_csv, write_csv,
};
pub use config::{Config, FalseAlarms};
pub use detector::{Detector, Point, score_of_nats};
pub use domain::PostInWindow;
pub use draw::{draw_svg, draw_terminal};
pub use evidence::{BASELINE, explain_incident};
pub use examples::Spread;
pub use explain::{Counts, Explanation, Question, Repeated, ValueCount, explain};
pub use grid::{Grid, GridConfig, is_past_changed, latest};
pub use incident::{Change, Incident, Kind};
pub use sentence::sentence;
