//! Questions for stored anomalies and alerts.

use super::selection::TimeRange;
use crate::alert::AlertState;
use serde::Serialize;

/// Which anomalies were found? The newest onset first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum AnomaliesQuery {
    /// Those with these ids.
    Ids(Vec<String>),
    /// Those whose onset lies in the range, at most `limit`.
    Within {
        range: TimeRange,
        /// Empty: of any topic.
        topics: Vec<String>,
        /// Empty: of any category, or of none.
        categories: Vec<String>,
        limit: usize,
    },
}

/// Which alerts were opened in the range, or are open still? The newest first, with their anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct AlertsQuery {
    pub range: TimeRange,
    /// Empty: of any topic, or of none.
    pub topics: Vec<String>,
    /// None: in any state.
    pub state: Option<AlertState>,
    pub limit: usize,
}
