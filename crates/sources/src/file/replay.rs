//! Event time: when a post of the file is due, and what becomes of its date.

use crate::error::{Error, Result};
use chrono::TimeDelta;
use domain::{Clock, Record, Timestamp};
use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// Posts due within this time go in together: one append instead of many.
const TOGETHER: Duration = Duration::from_millis(50);

/// How fast a file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Pace {
    #[default]
    AsFastAsPossible,
    /// So many times faster than the posts were written; 1 is as it happened.
    Speed(f64),
}

impl FromStr for Pace {
    type Err = Error;

    /// Reads `60x`, `0.5x`, `1`.
    fn from_str(text: &str) -> Result<Self> {
        let number: Option<f64> = text.trim().trim_end_matches(['x', 'X', '×']).parse().ok();
        number
            .filter(|speed| speed.is_finite() && *speed > 0.0)
            .map(Self::Speed)
            .ok_or_else(|| Error::Setting(format!("{text:?} is no speed: write how many times faster, as in 60x")))
    }
}

/// What becomes of the dates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shift {
    Keep,
    By(TimeDelta),
    /// A post is written when it is due.
    WithPace,
}

pub(super) struct Replay {
    pace: Pace,
    shift: Shift,
    /// Event time, monotonic time and clock time of the first post.
    begin: Option<(Timestamp, Instant, Timestamp)>,
}

impl Replay {
    pub(super) fn new(pace: Pace, shift: Shift) -> Self {
        Self { pace, shift, begin: None }
    }

    /// Takes from the front of `waiting` what is due, waiting for the first when need be.
    pub(super) async fn due(&mut self, waiting: &mut Vec<Record>, clock: &dyn Clock) -> Vec<Record> {
        let Pace::Speed(speed) = self.pace else {
            let mut all = std::mem::take(waiting);
            if let Shift::By(by) = self.shift {
                all.iter_mut().for_each(|record| move_by(record, by));
            }
            return all;
        };
        let after = |record: &Record, first: Timestamp| match record {
            Record::Post(post) => {
                let passed = (post.occurred_at - first).to_std().unwrap_or_default();
                Some(Duration::try_from_secs_f64(passed.as_secs_f64() / speed).unwrap_or(Duration::MAX))
            }
            // A deletion goes with what stands before it.
            Record::Deletion(_) => None,
        };
        let first = waiting.iter().find_map(occurred_at);
        let (event, started, wall) =
            *self.begin.get_or_insert((first.unwrap_or(clock.now()), Instant::now(), clock.now()));
        let wait = waiting.first().and_then(|record| after(record, event)).unwrap_or_default();
        // A pause beyond all measure (a broken date) is cut to a year, so that the sum can't overflow.
        tokio::time::sleep_until(started + wait.min(Duration::from_secs(31_536_000))).await;
        let reach = started.elapsed() + TOGETHER;
        let many =
            waiting.iter().take_while(|record| after(record, event).is_none_or(|due| due <= reach)).count().max(1);
        let mut due: Vec<Record> = waiting.drain(..many).collect();
        for record in &mut due {
            let passed = after(record, event).and_then(|passed| TimeDelta::from_std(passed).ok());
            if let (Record::Post(post), Some(passed)) = (record, passed) {
                post.received_at = clock.now();
                if self.shift == Shift::WithPace {
                    post.occurred_at = wall + passed;
                }
            }
        }
        due
    }
}

fn occurred_at(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Post(post) => Some(post.occurred_at),
        Record::Deletion(_) => None,
    }
}

fn move_by(record: &mut Record, by: TimeDelta) {
    if let Record::Post(post) = record {
        post.occurred_at = post.occurred_at.checked_add_signed(by).unwrap_or(post.occurred_at);
    }
}
