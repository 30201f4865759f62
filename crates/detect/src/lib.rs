//! Series in, anomalies out: a streaming detector of changes in counts (`Detector`), why they happened (`explain`), the
//! sentence people read, and the back-test with its pictures. Pure: no I/O, no clock, no randomness.

mod backtest;
mod config;
mod count;
mod detector;
mod draw;
mod examples;
mod explain;
mod incident;
mod season;
mod sentence;
mod tail;
mod wording;

pub use backtest::{
    Backtest, BacktestRow, backtest, backtest_by_clock, fill, interval_of, missing, out_of_order, read_csv, write_csv,
};
pub use config::{Config, FalseAlarms};
pub use detector::{Detector, Point, score_of_nats};
pub use draw::{draw_svg, draw_terminal};
pub use examples::{PostInWindow, Spread};
pub use explain::{Counts, Explanation, Question, Repeated, ValueCount, explain};
pub use incident::{Change, Incident, Kind};
pub use sentence::sentence;
