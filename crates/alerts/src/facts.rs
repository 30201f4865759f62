//! What the rules are judged against: plain numbers, gathered by the caller from the lake and the detector.

use domain::{Anomaly, Timestamp};

/// What is known of one topic (or of all together) at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// None: everything, whatever the topic.
    pub topic: Option<String>,
    /// Anomalies that are new, go on, or just ended.
    pub anomalies: Vec<Anomaly>,
    /// Counts over the windows that the rules ask for.
    pub windows: Vec<WindowFacts>,
    /// Phrases asked for by rules that were mentioned, with the time of their first mention.
    pub first_mentions: Vec<(String, Timestamp)>,
    /// When each source last brought something.
    pub sources: Vec<SourceFacts>,
}

/// Counts over the last `window_s` seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowFacts {
    pub window_s: u64,
    pub mentions: u64,
    /// Mentions in the window of the same length before.
    pub mentions_before: u64,
    /// Negative mentions among `mentions`.
    pub negative: u64,
}

/// A sign of life of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFacts {
    pub source: String,
    pub last_received_at: Timestamp,
}
