//! What a user sets, in his words, and what follows from it for one interval of one series.

/// How many false alarms the user is willing to get, over everything that he watches together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FalseAlarms {
    /// False alarms a week, over all series together.
    pub per_week: f64,
}

impl FalseAlarms {
    /// About one a week: the default.
    pub const WEEKLY: Self = Self { per_week: 1.0 };

    /// Reads the words of the settings page: `one a month`, `one a week`, `one a day`, or a number a week (`2.5`).
    pub fn parse(words: &str) -> Option<Self> {
        let words = words.trim().to_ascii_lowercase();
        let words = words.strip_prefix("about ").unwrap_or(&words);
        let (count, unit) = match words.split_once(" a ") {
            Some((count, unit)) => (count.trim(), unit.trim()),
            None => (words, "week"),
        };
        let count = match count {
            "one" => 1.0,
            "two" => 2.0,
            "three" => 3.0,
            other => other.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0)?,
        };
        let weeks = match unit {
            "hour" => 1.0 / 168.0,
            "day" => 1.0 / 7.0,
            "week" => 1.0,
            "month" => 52.18 / 12.0,
            "year" => 52.18,
            _ => return None,
        };
        Some(Self { per_week: count / weeks })
    }
}

/// How a series is watched. Copied into each detector: 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Length of the counting interval, seconds: 60 to 86,400.
    pub interval_s: u32,
    /// False alarms that are acceptable over all series together.
    pub false_alarms: FalseAlarms,
    /// How many series share that budget.
    pub series: u32,
    /// An incident needs an interval of at least so many mentions: three posts after silence are no news.
    pub mentions_min: f64,
    /// Intervals that only teach: no anomaly before.
    pub warm_up_intervals: u32,
    /// A new level that has lasted so long is the new normal, seconds.
    pub adopt_after_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval_s: 3600,
            false_alarms: FalseAlarms::WEEKLY,
            series: 100,
            mentions_min: 5.0,
            warm_up_intervals: 48,
            adopt_after_s: 2 * 86_400,
        }
    }
}

impl Config {
    /// The same for another interval. Warm-up is two days, but at least 24 and at most 288 intervals.
    pub fn every(interval_s: u32) -> Self {
        let interval_s = interval_s.clamp(1, 604_800);
        let warm_up_intervals = (2 * 86_400 / interval_s).clamp(24, 288);
        Self { interval_s, warm_up_intervals, ..Self::default() }
    }

    /// `-ln` of the probability that one interval of one series may raise a false alarm.
    pub(crate) fn alarm_level(&self) -> f64 {
        let intervals = 604_800.0 / f64::from(self.interval_s.max(1)) * f64::from(self.series.max(1));
        -(self.false_alarms.per_week / intervals).clamp(1e-12, 0.05).ln()
    }
}
