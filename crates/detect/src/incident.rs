//! One incident from its onset to its end: what a run of intervals out of line amounts to. Relies on the detector to say
//! which intervals are out of line.

use domain::{Severity, Timestamp};

/// Which way a series left its course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// More mentions than expected.
    Surge,
    /// Fewer mentions than expected.
    Drop,
    /// Nothing at all where something was due: the source may be dead.
    Silence,
}

/// One incident, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incident {
    pub kind: Kind,
    /// Start of the first interval out of line.
    pub onset: Timestamp,
    /// Start of the last interval out of line so far.
    pub last: Timestamp,
    /// Value, expectation and bounds of the most surprising interval.
    pub observed: f64,
    pub expected: f64,
    pub lower: f64,
    pub upper: f64,
    /// 0 to 1, of the most surprising interval.
    pub score: f64,
    pub severity: Severity,
    /// Mentions of all its intervals, and what was expected of them.
    pub observed_total: f64,
    pub expected_total: f64,
}

/// What a value did to the incident of its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// An anomaly begins: tell people.
    Opened(Incident),
    /// It goes on; the peak may have grown.
    Updated(Incident),
    /// The series is back on its course.
    Ended(Incident),
    /// It lasted so long that its level is the new normal.
    Adopted(Incident),
}

impl Change {
    /// Whether the incident ends with the change.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Adopted(_))
    }

    /// The incident that changed.
    pub fn incident(&self) -> &Incident {
        match self {
            Self::Opened(incident) | Self::Updated(incident) | Self::Ended(incident) | Self::Adopted(incident) => {
                incident
            }
        }
    }
}

/// Severity from how far the evidence passed the alarm's mark and from the size of the effect: rare but small stays low.
pub(crate) fn severity(evidence_ratio: f64, observed: f64, expected: f64) -> Severity {
    let effect = (observed.max(0.5) / expected.max(0.5)).ln().abs();
    match evidence_ratio {
        r if r >= 4.0 && effect >= 1.6 => Severity::Critical,
        r if r >= 2.0 && effect >= 1.0 => Severity::High,
        r if r >= 1.4 && effect >= 0.5 => Severity::Medium,
        _ => Severity::Low,
    }
}
